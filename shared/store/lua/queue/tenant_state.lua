--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
--- @include lib/backlog
-- ARGV: prefix, tenant. The queue as a tenant may see it: {speed or '', the tenant's cap or '', then (lane, what of the tenant's
-- waits, jobs of it that are handed out, its pictures a second, the last of its jobs that have a place or '', units that come
-- after that one until all of the tenant's is done, units of everybody that wait) a lane}.
-- What waits has a place in the lane, or is parked, or is a line of a batch that no job was made of yet.
local tenant = ARGV[2]

local reply = {redis.call('GET', p .. ':speed') or '', redis.call('HGET', limits(tenant), 'concurrency') or ''}
for _, lane in ipairs({'interactive', 'batch'}) do
  local found = placeless(lane)
  local own, all = found[tenant] or {jobs = 0, units = 0}, tonumber(redis.call('HGET', p .. ':load', lane .. ':units') or 0)
  local after = own.units
  for whose, one in pairs(found) do
    all = all + one.units
    -- Tenants take turns: of another one's as many units come first as of one's own, by weight.
    if whose ~= tenant and own.units > 0 then
      after = after + math.min(one.units, own.units * weight_of(whose) / weight_of(tenant))
    end
  end
  local words = {
    lane, redis.call('ZCARD', ready(lane, tenant)) + own.jobs, redis.call('SCARD', abroad(lane, tenant)),
    tostring(pace(lane, tenant, 0)), redis.call('ZRANGE', ready(lane, tenant), -1, -1)[1] or '', tostring(after), tostring(all),
  }
  for _, word in ipairs(words) do reply[#reply + 1] = word end
end
return reply
