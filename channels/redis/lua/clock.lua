-- What every script of presence begins with. Keys are handed over one by one,
-- so that a script never touches a slot it was not sent to.
--
-- KEYS[1] is the partition's table of nodes: node -> "generation expiry".
-- The only clock is that of Redis, in milliseconds.
local nodes, node = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- lease returns a node's generation, and its expiry as a number.
local function lease(of)
	local generation, expiry = string.match(redis.call('HGET', nodes, of) or '', '^(%d+) (%d+)$')
	return generation, tonumber(expiry)
end

-- alive returns the generation of a node whose lease runs, else nil.
local function alive(of)
	local generation, expiry = lease(of)
	if expiry and expiry > now then return generation end
end
