-- What a node may say of one topic, and the events that follow from it.
--
--   counts     node -> its subscriptions                       per topic
--   members    user -> "node,node,|info"                       per topic
--   seq        number of the last change of the members        per topic
--   occupied   channel -> subscriptions, if any                per app and partition
--   populated  channel -> users, if any                        per app and partition
--   held       topic -> how many things the node holds of it   per node and partition
--   changes    log of who came and went                        per partition
--
-- The last three are derived: they are written only where the entries they
-- count are.
local counts, members, occupied, populated, held, seq, events, changes =
	KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local generation, topic = ARGV[2], ARGV[3]
local channel = string.match(topic, ':(.*)$')

local ADDED, REMOVED, UPDATED, COUNT = 1, 2, 3, 4
local FENCED, FULL = -1, -2
local KEEP = 600 -- seconds for which the sequence of an empty topic goes on
local LOGGED = 1000000 -- changes of a partition that wait at most

local function publish(kind, number, user, data)
	redis.call('SPUBLISH', events, struct.pack('>BBHHHI8', 1, kind, 0, 0, #user, number) .. user .. data)
end

-- log notes a change for whoever tells the outside of it. It is read and cut by
-- one node at a time; if nobody does, the oldest go.
local function log(kind, user, number)
	redis.call('XADD', changes, 'MAXLEN', '~', LOGGED, '*', 't', topic, 'k', kind, 'u', user, 'n', number)
end

local function hold(change)
	if redis.call('HINCRBY', held, topic, change) <= 0 then redis.call('HDEL', held, topic) end
end

-- count makes n the node's subscriptions, and returns the sum over all nodes.
local function count(n, announce)
	local was, mine = 0, 0
	for _, other in ipairs(redis.call('HVALS', counts)) do was = was + (tonumber(other) or 0) end
	mine = tonumber(redis.call('HGET', counts, node) or '') or 0
	local sum = was - mine + n
	if n > 0 then redis.call('HSET', counts, node, n) else redis.call('HDEL', counts, node) end
	if (n > 0) ~= (mine > 0) then hold(n > 0 and 1 or -1) end
	if sum > 0 then redis.call('HSET', occupied, channel, sum) else redis.call('HDEL', occupied, channel) end
	if (sum == 0) ~= (was == 0) then log(sum > 0 and 'o' or 'v', '', sum) end
	if sum ~= was and announce then log('n', '', sum) end
	if sum ~= was and (announce or sum == 0 or was == 0) then publish(COUNT, sum, '', '') end
	return sum
end

-- current returns the number of the last change. A sequence begins at the time
-- of day in microseconds: one that was lost goes on at a higher number, and
-- whoever knew the old one sees a gap instead of a repetition.
local function current()
	local n = tonumber(redis.call('GET', seq) or '')
	if n then return n end
	n = time[1] * 1000000 + time[2]
	redis.call('SET', seq, string.format('%.0f', n), 'EX', KEEP)
	return n
end

local function changed(kind, user, info)
	current()
	local n, people = redis.call('INCR', seq), redis.call('HLEN', members)
	if people > 0 then
		redis.call('PERSIST', seq)
		redis.call('HSET', populated, channel, people)
	else
		redis.call('EXPIRE', seq, KEEP)
		redis.call('HDEL', populated, channel)
	end
	publish(kind, n, user, info)
	if kind ~= UPDATED then log(kind == ADDED and 'a' or 'r', user, n) end
	return n
end

-- member returns the nodes a user is on, and the info; nil for nobody.
local function member(user)
	return string.match(redis.call('HGET', members, user) or '', '^([%x,]+)|(.*)$')
end

local function put(user, on, info) redis.call('HSET', members, user, on .. '|' .. info) end

-- enter puts the user on the topic through this node. With a limit it is news:
-- a user too many is refused and the info replaces another. Without one it is
-- a repetition, and the info of a user who is there wins.
local function enter(user, info, limit)
	local on, present = member(user)
	if not on then
		if limit and redis.call('HLEN', members) >= limit then return FULL end
		put(user, node .. ',', info)
		hold(1)
		return changed(ADDED, user, info)
	end
	if not string.find(on, node .. ',', 1, true) then
		on = on .. node .. ','
		hold(1)
	end
	if not limit then info = present end
	put(user, on, info)
	if info ~= present then return changed(UPDATED, user, info) end
	return current()
end

local function leave(user)
	local on, info = member(user)
	local from, to = string.find(on or '', node .. ',', 1, true)
	if not from then return end
	hold(-1)
	on = string.sub(on, 1, from - 1) .. string.sub(on, to + 1)
	if on ~= '' then return put(user, on, info) end
	redis.call('HDEL', members, user)
	changed(REMOVED, user, '')
end

-- state makes the node hold n subscriptions and the users who are keys of
-- here, and nothing else.
local function state(n, announce, here)
	local all = redis.call('HGETALL', members)
	for i = 1, #all, 2 do
		if not here[all[i]] and string.find(all[i + 1], node, 1, true) then leave(all[i]) end
	end
	return count(n, announce)
end
