--- @include lib/backlog
--- @include lib/queue_keys
--- @include lib/tenant_limits
--- @include lib/throughput
--- @args tenant
-- The queue as a tenant may see it: {speed or '', the tenant's cap or '', then per lane (lane, the tenant's queued work in
-- jobs, its jobs in flight, its pictures a second, the last of its jobs in the ready set or '', units that come after that
-- one until all of the tenant's work is done, units of all queued work)}.
-- Queued work is in the ready set, waits for a result, or is a line of a batch that has no job yet.
local reply = {redis.call('GET', p .. ':speed') or '', redis.call('HGET', tenant_key(tenant), 'concurrency') or ''}
for _, lane in ipairs({'interactive', 'batch'}) do
  local found = work_outside_ready(lane)
  local own, all = found[tenant] or {jobs = 0, units = 0}, tonumber(redis.call('HGET', p .. ':load', lane .. ':units') or 0)
  local after = own.units
  for whose, one in pairs(found) do
    all = all + one.units
    -- Tenants are served fairly: of another one's as many units come first as of one's own, by weight.
    if whose ~= tenant and own.units > 0 then
      after = after + math.min(one.units, own.units * weight_of(whose) / weight_of(tenant))
    end
  end
  local values = {
    lane, redis.call('ZCARD', ready_key(lane, tenant)) + own.jobs, redis.call('SCARD', in_flight_key(lane, tenant)),
    tostring(throughput(lane, tenant, 0)), redis.call('ZRANGE', ready_key(lane, tenant), -1, -1)[1] or '', tostring(after),
    tostring(all),
  }
  for _, value in ipairs(values) do reply[#reply + 1] = value end
end
return reply
