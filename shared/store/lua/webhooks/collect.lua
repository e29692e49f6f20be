--- @include lib/time
--- @include lib/webhook_keys
--- @include lib/webhook_schedule
--- @args most:number max_dispatched:number claim_within_s:number
-- Takes due deliveries, of every webhook as many as it has free slots. Deliveries whose lease ended are due again. At most
-- max_dispatched are dispatched and not yet claimed. Webhooks take turns: one that was served goes behind all that waited longer.
-- Returns {seconds until there may be more or '', ids...}.
local t, dispatched, found = now(), p .. ':dispatched_deliveries', {}
redis.call('ZREMRANGEBYSCORE', dispatched, '-inf', t)
most = math.max(0, math.min(most, max_dispatched - redis.call('ZCARD', dispatched)))
redis.call('DEL', p .. ':notify:deliver')
for _, webhook in ipairs(redis.call('ZRANGEBYSCORE', p .. ':webhook_schedule', '-inf', t, 'LIMIT', 0, most)) do
  local lost = redis.call('ZRANGEBYSCORE', delivering_key(webhook), '-inf', t)
  for _, id in ipairs(lost) do
    redis.call('ZREM', delivering_key(webhook), id)
    local f = redis.call('HMGET', delivery_key(id), 'n', 'holder')
    if f[2] then
      redis.call('HSET', delivery_key(id), 'a:' .. f[1], '{"at":' .. t .. ',"outcome":"lost"}')
      redis.call('HDEL', delivery_key(id), 'holder')
    end
    redis.call('ZADD', due_key(webhook), t, id)
  end
  local f = redis.call('HMGET', webhook_key(webhook), 'off', 'not_before', 'tenant')
  local slots = math.min(free_slots(webhook), most - #found)
  if slots > 0 and not f[1] and tonumber(f[2] or 0) <= t then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due_key(webhook), '-inf', t, 'LIMIT', 0, slots)) do
      redis.call('ZREM', due_key(webhook), id)
      if redis.call('EXISTS', delivery_key(id)) == 1 then
        redis.call('ZADD', delivering_key(webhook), t + claim_within_s, id)
        redis.call('ZADD', dispatched, t + claim_within_s, id)
        found[#found + 1] = id
      end
    end
  end
  schedule_webhook(webhook)
  if #lost > 0 and f[3] then schedule_webhooks(f[3]) end
end
local following = redis.call('ZRANGE', p .. ':webhook_schedule', 0, 0, 'WITHSCORES')[2]
return {following and tostring(tonumber(following) - t) or '', unpack(found)}
