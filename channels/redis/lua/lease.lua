-- Takes or renews this node's lease on the partition. Returns 1 or 0, and then
-- the nodes whose lease has run out.
-- ARGV: node, generation, lease in milliseconds, what to do.
local generation, length, what = ARGV[2], tonumber(ARGV[3]), ARGV[4]

local function extend(expiry)
	redis.call('HSET', nodes, node, string.format('%s %.0f', generation, expiry))
	return 1
end

local reply = {0}
if what == 'renew' then
	-- A lease that has run out cannot be renewed: somebody may have cleared up.
	if alive(node) == generation then reply[1] = extend(now + length) end
else
	-- A registration that was overtaken by a later one is void.
	local present = lease(node)
	if not present or tonumber(present) <= tonumber(generation) then
		if what == 'retire' then reply[1] = extend(0) else reply[1] = extend(now + length) end
	end
end
for _, other in ipairs(redis.call('HKEYS', nodes)) do
	if not alive(other) then reply[#reply + 1] = other end
end
return reply
