-- +goose Up

-- Who is online in a room, as nodes have noted it: a new name for the table.

ALTER TABLE seats RENAME TO online;

DROP INDEX seats_node;
CREATE INDEX online_node ON online (node);
