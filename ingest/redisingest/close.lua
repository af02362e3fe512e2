-- Lets another process be the reader. KEYS: reader. ARGV: name of this process.
if redis.call('GET', KEYS[1]) == ARGV[1] then
	redis.call('DEL', KEYS[1])
end
