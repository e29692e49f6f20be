--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, most, most that may be rung for without being claimed, seconds that a doorbell may take. Takes due
-- deliveries, of every webhook as many as it has room for. Those whose lease is over are due again.
-- Webhooks take turns: one that was served stands behind all that waited longer.
-- Returns {seconds until there may be more or '', ids...}.
local t, rung, found = now(), p .. ':rung', {}
redis.call('ZREMRANGEBYSCORE', rung, '-inf', t)
local most = math.max(0, math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - redis.call('ZCARD', rung)))
redis.call('DEL', p .. ':postbell')
for _, hook in ipairs(redis.call('ZRANGEBYSCORE', p .. ':post', '-inf', t, 'LIMIT', 0, most)) do
  local lost = redis.call('ZRANGEBYSCORE', posting(hook), '-inf', t)
  for _, id in ipairs(lost) do
    redis.call('ZREM', posting(hook), id)
    local f = redis.call('HMGET', delivery(id), 'n', 'holder')
    if f[2] then
      redis.call('HSET', delivery(id), 'a:' .. f[1], '{"at":' .. t .. ',"outcome":"lost"}')
      redis.call('HDEL', delivery(id), 'holder')
    end
    redis.call('ZADD', due(hook), t, id)
  end
  local f = redis.call('HMGET', webhook(hook), 'off', 'not_before', 'tenant')
  local room = math.min(room_at(hook), most - #found)
  if room > 0 and not f[1] and tonumber(f[2] or 0) <= t then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due(hook), '-inf', t, 'LIMIT', 0, room)) do
      redis.call('ZREM', due(hook), id)
      if redis.call('EXISTS', delivery(id)) == 1 then
        redis.call('ZADD', posting(hook), t + tonumber(ARGV[4]), id)
        redis.call('ZADD', rung, t + tonumber(ARGV[4]), id)
        found[#found + 1] = id
      end
    end
  end
  look_at(hook)
  if #lost > 0 and f[3] then look_around(f[3]) end
end
local following = redis.call('ZRANGE', p .. ':post', 0, 0, 'WITHSCORES')[2]
return {following and tostring(tonumber(following) - t) or '', unpack(found)}
