--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, what became of it ('delivered', 'again' or 'gone'), the attempt (JSON), pause_s,
-- give_up_s, seconds that the receiver asked for or ''. Tries again until give_up_s after the message, a last time just then.
-- Returns the delivery's status, or 'lost' when the attempt does not hold the lease.
local ATTEMPTS_KEPT = 20
local id, attempt, became = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local f = redis.call('HMGET', delivery(id), 'webhook', 'n', 'since')
local hook = f[1]
if not hook or tonumber(f[2]) ~= attempt or redis.call('ZREM', posting(hook), id) == 0 then return 'lost' end
local t, status = now(), became
redis.call('HSET', delivery(id), 'a:' .. attempt, ARGV[5])
redis.call('HDEL', delivery(id), 'holder', 'a:' .. (attempt - ATTEMPTS_KEPT))
if became == 'delivered' then
  redis.call('HDEL', webhook(hook), 'failing', 'not_before')
else
  redis.call('HSETNX', webhook(hook), 'failing', stamp())
  if ARGV[8] ~= '' then redis.call('HSET', webhook(hook), 'not_before', t + tonumber(ARGV[8])) end
  local ends = tonumber(f[3]) + tonumber(ARGV[7])
  if became == 'gone' then
    redis.call('HSET', webhook(hook), 'off', stamp())
    status = 'failed'
  elseif t >= ends then
    status = 'failed'
  else
    status = 'waiting'
    redis.call('ZADD', due(hook), math.min(t + math.max(tonumber(ARGV[6]), tonumber(ARGV[8]) or 0), ends), id)
  end
end
if status ~= 'waiting' then redis.call('HSET', delivery(id), 's', status, 'ended', stamp()) end
look_around(redis.call('HGET', webhook(hook), 'tenant'))
return status
