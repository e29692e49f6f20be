--- @include lib/job_record
--- @include lib/queue_keys
--- @include lib/tenant_limits
--- @args id
-- Where a queued job stands: {lane, position, units until it is done, speed or '', units of its tenant until then and the
-- tenant's cap, or '', ''}; {} when it is not queued.
-- Tenants are served fairly, so of every other tenant at most as many jobs come first as of the job's own, by weight.
local MAX_TENANTS = 200
local job = read_job(id)
if not job or job.status ~= 'queued' then return {} end
local position = 0
local rank = redis.call('ZRANK', ready_key(job.lane, job.tenant), job.id)
if rank then
  position = rank
  local share = rank / weight_of(job.tenant)
  for _, set in ipairs({schedule_key(job.lane), throttled_key(job.lane)}) do
    for _, tenant in ipairs(redis.call('ZRANGE', set, 0, MAX_TENANTS - 1)) do
      if tenant ~= job.tenant then
        local first = math.floor(share * weight_of(tenant))
        if first > 0 then position = position + math.min(first, redis.call('ZCARD', ready_key(job.lane, tenant))) end
      end
    end
  end
end
local load = redis.call('HMGET', p .. ':load', job.lane .. ':jobs', job.lane .. ':units', 'interactive:units')
local mean = job.units
if tonumber(load[1] or 0) > 0 then mean = tonumber(load[2]) / tonumber(load[1]) end
local in_flight = redis.call('ZCARD', dispatched_key(job.lane)) + redis.call('ZCARD', leases_key(job.lane))
local units = (position + in_flight) * mean + job.units
if job.lane == 'batch' then units = units + tonumber(load[3] or 0) end
local cap, own = redis.call('HGET', tenant_key(job.tenant), 'concurrency') or '', ''
if cap ~= '' then
  own = tostring(((rank or 0) + redis.call('SCARD', in_flight_key(job.lane, job.tenant))) * mean + job.units)
end
return {job.lane, position, tostring(units), redis.call('GET', p .. ':speed') or '', own, cap}
