--- @include lib/time
--- @include lib/webhook_keys
--- @include lib/webhook_schedule
--- @args id attempt:number result report pause_s:number give_up_s:number retry_after_s:number?
-- An attempt ended. result: 'delivered', 'again' or 'gone'; report: the attempt (JSON); retry_after_s: as the receiver asked.
-- It is retried until give_up_s after the message, a last time just then.
-- Returns the delivery's status, or 'lost' when the attempt does not hold the lease.
local ATTEMPTS_KEPT = 20
local f = redis.call('HMGET', delivery_key(id), 'webhook', 'n', 'since')
local webhook = f[1]
if not webhook or tonumber(f[2]) ~= attempt or redis.call('ZREM', delivering_key(webhook), id) == 0 then return 'lost' end
local t, status, ends = now(), result, tonumber(f[3]) + give_up_s
redis.call('HSET', delivery_key(id), 'a:' .. attempt, report)
redis.call('HDEL', delivery_key(id), 'holder', 'a:' .. (attempt - ATTEMPTS_KEPT))
if result == 'delivered' then
  redis.call('HDEL', webhook_key(webhook), 'failing', 'not_before')
else
  redis.call('HSETNX', webhook_key(webhook), 'failing', stamp())
  if retry_after_s then redis.call('HSET', webhook_key(webhook), 'not_before', t + retry_after_s) end
  if result == 'gone' then
    redis.call('HSET', webhook_key(webhook), 'off', stamp())
    status = 'failed'
  elseif t >= ends then
    status = 'failed'
  else
    status = 'waiting'
    redis.call('ZADD', due_key(webhook), math.min(t + math.max(pause_s, retry_after_s or 0), ends), id)
  end
end
if status ~= 'waiting' then redis.call('HSET', delivery_key(id), 's', status, 'ended', stamp()) end
schedule_webhooks(redis.call('HGET', webhook_key(webhook), 'tenant'))
return status
