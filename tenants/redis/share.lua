-- Adds what one node took from one bucket, and tells what all took.
-- KEYS[1] is the bucket: "total" counts what was ever taken, "full" is the time
-- in microseconds at which the bucket will be full again.
-- ARGV: what was taken, the rate a second, how long to keep the key in ms.
-- Returns the total, and in microseconds how long the bucket was from full before.
local taken, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = math.max(tonumber(redis.call('HGET', KEYS[1], 'full') or '0'), now)
local total = redis.call('HINCRBY', KEYS[1], 'total', taken)
redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full + taken * 1000000 / rate))
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]) + math.ceil((full - now) / 1000))
return {total, full - now}
