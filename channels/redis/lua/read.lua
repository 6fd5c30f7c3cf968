-- Reads a run of events. ARGV[7] is "1" for backwards, then after, before,
-- since, until, the most events and the most bytes; 0 is no bound.
local after, before, since, till = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local limit, bytes = tonumber(ARGV[12]), tonumber(ARGV[13])

local epoch, offset, _, base, new = head()
if new then return {'', 0, 0, 1, 0} end
local freed = expire()
if freed > 0 then weigh(channel, math.max(weight() - freed, 0)) end
local oldest = offset + 1 - redis.call('LLEN', kept)
if oldest <= offset and place(redis.call('LINDEX', kept, 0)) ~= oldest then -- not written by us
	redis.call('DEL', kept)
	oldest = offset + 1
end

-- bound returns the first offset in [from, to + 1] whose event is not before the time.
local function bound(from, to, time)
	while from <= to do
		local mid = math.floor((from + to) / 2)
		local _, at = place(redis.call('LINDEX', kept, mid - oldest))
		if (at or 0) < time then from = mid + 1 else to = mid - 1 end
	end
	return from
end

local from, to = math.max(after + 1, oldest), offset
if before > 0 then to = math.min(before - 1, offset) end
if since > 0 then from = bound(from, to, since) end
if till > 0 then to = bound(from, to, till + 1) - 1 end

local CHUNK = 64
local found, size = {epoch, number(offset), number(base), number(oldest), 0}, 0
local ABOUT = #found
local step = 1
if ARGV[7] == '1' then step, from, to = -1, to, from end

local function take(event)
	size = size + #event
	if #found - ABOUT >= limit or (bytes > 0 and size > bytes and #found > ABOUT) then
		found[ABOUT] = 1
		return false
	end
	found[#found + 1] = event
	return true
end

while (to - from) * step >= 0 do
	local last = step > 0 and math.min(from + CHUNK - 1, to) or math.max(from - CHUNK + 1, to)
	local chunk = redis.call('LRANGE', kept, math.min(from, last) - oldest, math.max(from, last) - oldest)
	if #chunk == 0 then break end
	for i = 1, #chunk do
		if not take(chunk[step > 0 and i or #chunk + 1 - i]) then return found end
	end
	from = last + step
end
return found
