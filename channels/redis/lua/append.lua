-- Appends an event and publishes it. KEYS[4] is its shard channel, ARGV[7] the
-- envelope. With KEYS[5] it is kept as the last event too: ARGV[8] is for how
-- long, ARGV[9] what.
local epoch, offset, at, base = head()
offset, at = offset + 1, math.max(at, now)
local event = struct.pack('>Bc16I8I8', 2, epoch, offset, at) .. ARGV[7]
local freed = expire()
local count = redis.call('RPUSH', kept, event)
for _ = most + 1, count do freed = freed + pop() end
redis.call('PEXPIRE', kept, ttl)
save(epoch, offset, at, base)

local mine = #event + ENTRY
if count > 1 then mine = math.max(mine, mine + weight() - freed) end -- else it was empty, whatever was noted
local sum = weigh(channel, mine)
if redis.call('PTTL', weights) < tonumber(remembered) then redis.call('PEXPIRE', weights, remembered) end

-- For each event one other channel is looked at, so that those whose events
-- have expired do not pile up.
local other = redis.call('HRANDFIELD', weights)
if other and other ~= '' and redis.call('EXISTS', stem .. other) == 0 then sum = weigh(other, 0) end

-- makeRoom holds the app to its ceiling in this partition: the channels longest
-- without an event lose theirs, then the topic its oldest. It frees more than it
-- must, so that the channels are not looked through for each event.
local function makeRoom()
	local enough, others = ceiling - math.floor(ceiling / 8), {}
	for _, name in ipairs(redis.call('HKEYS', weights)) do
		if name ~= '' and name ~= channel then
			local _, newest = place(redis.call('LINDEX', stem .. name, -1))
			if newest then others[#others + 1] = {name, newest} else sum = weigh(name, 0) end
		end
	end
	table.sort(others, function(a, b) return a[2] < b[2] end)
	for _, one in ipairs(others) do
		if sum <= enough then return end
		redis.call('DEL', stem .. one[1])
		sum = weigh(one[1], 0)
	end
	while sum > enough and redis.call('LLEN', kept) > 1 do
		mine = mine - pop()
		sum = weigh(channel, mine)
	end
end
if sum > ceiling then makeRoom() end

if KEYS[5] then redis.call('SET', KEYS[5], ARGV[9], 'PX', ARGV[8]) end
redis.call('SPUBLISH', KEYS[4], event)
return {epoch, offset}
