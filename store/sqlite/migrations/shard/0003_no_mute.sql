-- +goose Up

-- A column that was never set.

ALTER TABLE user_rooms DROP COLUMN mute;
