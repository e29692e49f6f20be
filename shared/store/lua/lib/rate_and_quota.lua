--- @include lib/tenant_limits
--- @include lib/time
-- Redis counts millionths of the units of a limit.
local MICRO = 1e6

local function spent_key(tenant, t) return p .. ':spent:' .. tenant .. ':' .. math.floor(t / 86400) end

-- Counts a request and its units against the tenant's limits, or says which limit rejects it. A rejected request costs no
-- units. Requests flow into a bucket that empties evenly over its window (the generic cell rate algorithm): the key holds
-- when it will be empty. Units are counted by the day, UTC. Returns {code or '', seconds until a retry may pass, then
-- (name, quota, window_s, left, seconds until all is left again) per limit}.
local function charge(tenant, requests, units)
  local f = redis.call('HMGET', tenant_key(tenant), 'rate', 'rate_window_s', 'daily_units')
  local t, reply = now(), {'', 0}
  local function add_limit(...)
    for _, value in ipairs({...}) do reply[#reply + 1] = value end
  end
  if f[1] then
    local key, rate, window = p .. ':rate:' .. tenant, tonumber(f[1]), tonumber(f[2])
    local empty = math.max(t, tonumber(redis.call('GET', key) or 0))
    local after = empty + requests * window / rate
    if requests > 0 and after - t > window + 1e-6 then
      reply[1], reply[2] = 'rate_limited', math.ceil(after - t - window)
    elseif requests > 0 then
      redis.call('SET', key, string.format('%.6f', after), 'EX', math.max(1, math.ceil(after - t)))
      empty = after
    end
    local left = math.floor((window - (empty - t)) * rate / window + 1e-6)
    add_limit('requests', rate, window, math.max(0, left), math.ceil(empty - t))
  end
  if f[3] then
    local key, quota = spent_key(tenant, t), tonumber(f[3]) * MICRO
    local spent, left_s = tonumber(redis.call('GET', key) or 0), math.ceil(86400 - t % 86400)
    if units > 0 and reply[1] == '' then
      if spent + units > quota then
        reply[1], reply[2] = 'quota_exceeded', left_s
      else
        spent = redis.call('INCRBY', key, units)
        redis.call('EXPIRE', key, left_s + 3600)
      end
    end
    add_limit('units', quota / MICRO, 86400, math.max(0, math.floor((quota - spent) / MICRO)), left_s)
  end
  return reply
end
