-- Says how many connections a node has of one tenant's apps, and asks for more.
--
-- KEYS[1] is the tenant's nodes: node -> "number statement expiry".
-- KEYS[2…] are its apps: node -> number. An app's entry of a node counts while
-- the node's own in KEYS[1] is in force.
-- ARGV: node, number of the statement, lease in ms, limit of the tenant, connections
-- of all its apps on the node; then for each app: those on the node, how many
-- more are wanted, limit.
-- Returns -1 for a statement that was overtaken; else the tenant's connections on
-- all nodes, and for each app how many more it may have and the connections on all nodes.
local node, statement, lease, limit, mine = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local alive, others = {}, 0
local nodes = redis.call('HGETALL', KEYS[1])
for i = 1, #nodes, 2 do
	local n, last, expiry = string.match(nodes[i + 1], '^(%d+) (%d+) (%d+)$')
	if nodes[i] == node then
		if last and tonumber(last) > statement then return -1 end
	elseif expiry and tonumber(expiry) > now then
		alive[nodes[i]] = true
		others = others + tonumber(n)
	else
		redis.call('HDEL', KEYS[1], nodes[i])
	end
end

local reply, total = {0}, mine
for i = 2, #KEYS do
	local at = 6 + (i - 2) * 3
	local here, want, most = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
	local elsewhere, entries = 0, redis.call('HGETALL', KEYS[i])
	for j = 1, #entries, 2 do
		if alive[entries[j]] then
			elsewhere = elsewhere + (tonumber(entries[j + 1]) or 0)
		elseif entries[j] ~= node then
			redis.call('HDEL', KEYS[i], entries[j])
		end
	end
	local more = math.max(math.min(want, most - here - elsewhere, limit - total - others), 0)
	total = total + more
	if here + more > 0 then
		redis.call('HSET', KEYS[i], node, here + more)
		redis.call('PEXPIRE', KEYS[i], 4 * lease)
	else
		redis.call('HDEL', KEYS[i], node)
	end
	reply[#reply + 1] = more
	reply[#reply + 1] = here + more + elsewhere
end
-- Kept for a lease even when it is 0: a statement that comes late is refused by it.
redis.call('HSET', KEYS[1], node, string.format('%d %.0f %.0f', total, statement, now + lease))
redis.call('PEXPIRE', KEYS[1], 4 * lease)
reply[1] = total + others
return reply
