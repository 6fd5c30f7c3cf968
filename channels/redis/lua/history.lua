-- The past of one topic.
--
--   meta   "epoch:offset:milliseconds:era" of the newest event
--   kept   list of the newest events, oldest first; offsets have no holes
--
-- An event is its place, then its envelope: version 2, the epoch, the offset
-- and the time in milliseconds, then the bytes of a version 1.
--
-- The era is the replication history that this server continued when it was
-- promoted, zeros if it never was: another one means that writes may be lost.
local meta, kept = KEYS[1], KEYS[2]
local fresh, most, ttl, remembered = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local HEAD = 33 -- bytes before the envelope

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function era()
	return string.match(redis.call('INFO', 'replication'), 'master_replid2:(%x+)') or ''
end

local function number(n) return string.format('%.0f', n) end

-- head returns where the history stands; a new epoch if there is none, or one
-- of another era, whose events are forgotten then.
local function head()
	local epoch, offset, at, of = string.match(redis.call('GET', meta) or '', '^(%w+):(%d+):(%d+):(%x*)$')
	if epoch and #epoch == 16 and of == era() then return epoch, tonumber(offset), tonumber(at), of, false end
	redis.call('DEL', kept)
	return fresh, 0, 0, era(), true
end

local function save(epoch, offset, at, of)
	redis.call('SET', meta, epoch .. ':' .. number(offset) .. ':' .. number(at) .. ':' .. of, 'PX', remembered)
end

-- place reads the offset and the time of a kept event.
local function place(event)
	if not event or #event < HEAD then return nil end
	local offset, at = struct.unpack('>I8I8', event, 18)
	return offset, at
end

local function expire()
	while true do
		local first = redis.call('LINDEX', kept, 0)
		if not first then return end
		local _, at = place(first)
		if at and at >= now - ttl then return end
		redis.call('LPOP', kept)
	end
end
