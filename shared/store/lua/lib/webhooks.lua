-- Webhooks. A message is told to every webhook of its tenant that asked for its kind: one delivery each, in the same
-- step as what it tells of. `post` says which webhooks are to be looked at, and when.
local DELIVERIES_KEPT = 10000
local DELIVERY_KEPT_S = 7 * 86400
local MOST_TOLD_BYTES = 16384
local POSTS_AT_ONCE = 8
local POSTS_A_TENANT = 16

local function webhook(id) return p .. ':webhook:' .. id end
local function delivery(id) return p .. ':delivery:' .. id end
local function deliveries(hook) return p .. ':deliveries:' .. hook end
local function due(hook) return p .. ':due:' .. hook end
local function posting(hook) return p .. ':posting:' .. hook end
local function smallest(set) return tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) end

local function webhooks_of(tenant) return redis.call('ZRANGE', p .. ':webhooks:' .. tenant, 0, -1) end

-- How many more deliveries a webhook may take at once: one whose last answer was none gets one at a time, and all of a
-- tenant's together have a bound, so that receivers that hang or are slow leave room for everybody else's.
local function room_at(hook)
  local f = redis.call('HMGET', webhook(hook), 'tenant', 'failing')
  if not f[1] then return 0 end
  local of_tenant = 0
  for _, one in ipairs(webhooks_of(f[1])) do of_tenant = of_tenant + redis.call('ZCARD', posting(one)) end
  return math.min((f[2] and 1 or POSTS_AT_ONCE) - redis.call('ZCARD', posting(hook)), POSTS_A_TENANT - of_tenant)
end

-- Notes when a webhook is to be looked at next: when a delivery is due and there is room for it, or when a lease ends.
local function look_at(hook)
  local f = redis.call('HMGET', webhook(hook), 'url', 'off', 'not_before')
  local t, at = now(), nil
  if f[1] and not f[2] then
    at = smallest(posting(hook))
    local first = room_at(hook) > 0 and smallest(due(hook))
    if first then
      first = math.max(first, tonumber(f[3] or 0), t)
      at = math.min(at or first, first)
    end
  end
  if not at then return redis.call('ZREM', p .. ':post', hook) end
  redis.call('ZADD', p .. ':post', at, hook)
  if at <= t and redis.call('LLEN', p .. ':postbell') == 0 then redis.call('LPUSH', p .. ':postbell', 1) end
end

-- A place came free: any webhook of the tenant may want it.
local function look_around(tenant)
  for _, hook in ipairs(webhooks_of(tenant)) do look_at(hook) end
end

-- One delivery, due now. A webhook's oldest deliveries are forgotten when there are too many.
local function deliver(hook, message, kind, data)
  local id, at = string.sub(redis.sha1hex(message .. hook), 1, 32), stamp()
  redis.call('HSET', delivery(id), 'webhook', hook, 'message', message, 'kind', kind, 'data', data, 'at', at, 'since', at)
  redis.call('EXPIRE', delivery(id), DELIVERY_KEPT_S)
  redis.call('ZADD', due(hook), at, id)
  redis.call('ZADD', deliveries(hook), at, id)
  redis.call('ZREMRANGEBYSCORE', deliveries(hook), '-inf', now() - DELIVERY_KEPT_S)
  while redis.call('ZCARD', deliveries(hook)) > DELIVERIES_KEPT do
    local oldest = redis.call('ZPOPMIN', deliveries(hook))[1]
    redis.call('DEL', delivery(oldest))
    redis.call('ZREM', due(hook), oldest)
    if redis.call('ZREM', posting(hook), oldest) == 1 then look_around(redis.call('HGET', webhook(hook), 'tenant')) end
  end
  redis.call('EXPIRE', due(hook), DELIVERY_KEPT_S)
  redis.call('EXPIRE', deliveries(hook), DELIVERY_KEPT_S)
  look_at(hook)
  return id
end

-- kind: as the receiver reads it ('batch.succeeded'); subject: id of what it is about; data: JSON object, as text.
-- Costs a tenant without webhooks one look. Data that is too long becomes the subject's id alone.
local function tell(tenant, kind, subject, data)
  local hooks = webhooks_of(tenant)
  if #hooks == 0 then return end
  if #data > MOST_TOLD_BYTES then data = '{"id":' .. cjson.encode(subject) .. '}' end
  local message = 'msg_' .. string.sub(redis.sha1hex(kind .. subject .. stamp()), 1, 32)
  for _, hook in ipairs(hooks) do
    local f = redis.call('HMGET', webhook(hook), 'events', 'off')
    local wanted = f[1] and (f[1] == '' or string.find(',' .. f[1] .. ',', ',' .. kind .. ',', 1, true))
    if wanted and not f[2] then deliver(hook, message, kind, data) end
  end
end

-- Tells of a job that has just ended.
local function tell_end(job, status)
  if redis.call('EXISTS', p .. ':webhooks:' .. job.tenant) == 0 then return end
  local f = redis.call('HMGET', record(job.id), 'batch', 'line', 'error')
  tell(job.tenant, 'job.' .. status, job.id, table.concat({
    '{"id":', cjson.encode(job.id), ',"status":"', status, '","lane":"', job.lane,
    '","batch":', f[1] and cjson.encode(f[1]) or 'null', ',"line":', tonumber(f[2]) and f[2] or 'null',
    ',"attempt":', job.attempt, ',"error":', f[3] or 'null', '}',
  }))
end
