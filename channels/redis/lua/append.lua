-- Appends an event and publishes it. KEYS[3] is its shard channel, ARGV[5] the
-- envelope. With KEYS[4] it is kept as the last event too: ARGV[6] is for how
-- long, ARGV[7] what.
local epoch, offset, at, of = head()
offset, at = offset + 1, math.max(at, now)
local event = struct.pack('>Bc16I8I8', 2, epoch, offset, at) .. ARGV[5]
expire()
if redis.call('RPUSH', kept, event) > most then redis.call('LTRIM', kept, -most, -1) end
redis.call('PEXPIRE', kept, ttl)
save(epoch, offset, at, of)
if KEYS[4] then redis.call('SET', KEYS[4], ARGV[7], 'PX', ARGV[6]) end
redis.call('SPUBLISH', KEYS[3], event)
return {epoch, offset}
