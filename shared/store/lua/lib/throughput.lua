--- @include lib/time
local AVERAGED_S = 60

-- Pictures a second that a tenant gets in a lane, counting so many more: a moving average over about a minute.
local function throughput(lane, tenant, more)
  local key, t = p .. ':throughput:' .. lane, now()
  local rate, at = string.match(redis.call('HGET', key, tenant) or '0 0', '(%S+) (%S+)')
  rate = tonumber(rate) * math.exp((tonumber(at) - t) / AVERAGED_S) + more / AVERAGED_S
  if more > 0 then redis.call('HSET', key, tenant, string.format('%.6g %.3f', rate, t)) end
  return rate
end
