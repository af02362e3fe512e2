-- Reads entries, in one step with what makes this process the reader, and with the move
-- of elements of a list into the stream, where each has an id from then on.
-- KEYS: reader, stream, and the list if there is one.
-- ARGV: name of this process, life of the reader (ms), most entries, the id behind which
-- to read ("": from the first one on), bytes of the largest entry, bytes in all, entries
-- that the stream of a list may have.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
	return {'elsewhere'}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local most, after, largest, bytes = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
if not holder then -- others may have read meanwhile, or Redis was emptied
	after = ''
end

if KEYS[3] then
	local space = tonumber(ARGV[7]) - redis.call('XLEN', KEYS[2])
	for _ = 1, math.min(most, space) do
		local json = redis.call('LPOP', KEYS[3])
		if not json then
			break
		end
		local size = string.len(json)
		if size > largest then
			json = string.sub(json, 1, 1024)
		end
		redis.call('XADD', KEYS[2], '*', 'json', json, 'size', size)
	end
end

local got, total = {}, 0
if most > 0 then
	local from = '-'
	if after ~= '' then
		from = '(' .. after
	end
	for _, entry in ipairs(redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', most)) do
		local json, size
		for i = 1, #entry[2], 2 do
			if entry[2][i] == 'json' then
				json = entry[2][i + 1]
			elseif entry[2][i] == 'size' and KEYS[3] then
				size = tonumber(entry[2][i + 1])
			end
		end
		size = size or string.len(json or '')
		if size > largest then
			json = string.sub(json, 1, 1024)
		end
		table.insert(got, {entry[1], json or '', size})
		total = total + string.len(json or '')
		if total >= bytes then
			break
		end
	end
end
return {'reader', got}
