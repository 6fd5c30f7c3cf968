-- The past of one topic.
--
--   meta   "epoch:offset:milliseconds:base:life" of the newest event; base is
--          the offset at which the epoch began
--   kept   list of the newest events, oldest first; offsets have no holes
--   weights   channel -> bytes of its kept events, '' -> their sum; of the app
--             in this partition. What has expired is taken out now and then
--
-- An event is its place, then its envelope: version 2, the epoch, the offset
-- and the time in milliseconds, then the bytes of a version 1 or 3.
--
-- The life is that of the server: its replication id, another one after each
-- start and each promotion, with a "+" where whatever is acknowledged outlives
-- the server. In another life the newest events may have been forgotten. What
-- is left goes on in a new epoch then, so that no place is given out twice. (The
-- place of a kept event therefore has the epoch in which it came.)
local meta, kept, weights = KEYS[1], KEYS[2], KEYS[3]
local fresh, most, ttl, remembered, durable = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1'
local ceiling = tonumber(ARGV[6])
local stem, channel = string.match(kept, '^(tw:{%d+}:y:%d+:)(.*)$')

local HEAD = 33 -- bytes before the envelope
local ENTRY = 64 -- what an event weighs beside its bytes

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local server = redis.call('INFO', 'replication')
local life = string.match(server, 'master_replid:(%x+)') or ''

-- alone says that no other server is or was a copy of this one: a start then
-- cannot be mistaken for one that came after a promotion.
local function alone()
	return string.find(server, 'connected_slaves:0', 1, true) and string.find(server, 'master_replid2:0+%s')
end

local function number(n) return string.format('%.0f', n) end

local function save(epoch, offset, at, base)
	local place = epoch .. ':' .. number(offset) .. ':' .. number(at) .. ':' .. number(base)
	redis.call('SET', meta, place .. ':' .. life .. (durable and '+' or ''), 'PX', remembered)
end

-- head returns where the history stands, and whether there was none.
local function head()
	local epoch, offset, at, base, of, safe = string.match(redis.call('GET', meta) or '', '^(%w+):(%d+):(%d+):(%d+):(%x*)(%+?)$')
	if not epoch or #epoch ~= 16 then
		redis.call('DEL', kept)
		return fresh, 0, 0, 0, true
	end
	offset, at, base = tonumber(offset), tonumber(at), tonumber(base)
	if of ~= life then
		-- Both lives must have been durable: a life in between left no trace here.
		if safe == '' or not durable or not alone() then epoch, base = fresh, offset end
		save(epoch, offset, at, base)
	end
	return epoch, offset, at, base, false
end

-- place reads the offset and the time of a kept event.
local function place(event)
	if not event or #event < HEAD then return nil end
	local offset, at = struct.unpack('>I8I8', event, 18)
	return offset, at
end

-- pop forgets the oldest event and returns what it weighed.
local function pop() return #(redis.call('LPOP', kept) or '') + ENTRY end

-- expire forgets what is too old and returns what it weighed.
local function expire()
	local freed = 0
	while true do
		local first = redis.call('LINDEX', kept, 0)
		if not first then return freed end
		local _, at = place(first)
		if at and at >= now - ttl then return freed end
		freed = freed + pop()
	end
end

-- weigh makes a channel weigh so much and returns the sum.
local function weigh(of, bytes)
	local was = tonumber(redis.call('HGET', weights, of) or '') or 0
	if bytes > 0 then redis.call('HSET', weights, of, bytes) else redis.call('HDEL', weights, of) end
	return redis.call('HINCRBY', weights, '', bytes - was)
end

-- weight is what the topic weighed when it was last looked at.
local function weight() return tonumber(redis.call('HGET', weights, channel) or '') or 0 end
