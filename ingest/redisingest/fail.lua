-- Moves an entry from the stream to the list of what cannot be sent, the newest first.
-- KEYS: stream, failed. ARGV: id, what the list keeps, how many it has at most.
if redis.call('XDEL', KEYS[1], ARGV[1]) == 1 then
	redis.call('LPUSH', KEYS[2], ARGV[2])
	redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[3]) - 1)
end
