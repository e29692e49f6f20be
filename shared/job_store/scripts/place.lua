-- ARGV: prefix, id. Where a queued job stands: {lane, position, units until it is done, speed or ''}; {} when it is not queued.
-- Tenants take turns, so of every other tenant at most as many jobs come first as of the job's own.
local MOST_TENANTS = 200
local job = read(ARGV[2])
if not job or job.status ~= 'queued' then return {} end
local position = 0
local rank = redis.call('ZRANK', ready(job.lane, job.tenant), job.id)
if rank then
  position = rank
  for _, tenant in ipairs(redis.call('ZRANGE', turns(job.lane), 0, MOST_TENANTS - 1)) do
    if tenant ~= job.tenant then position = position + math.min(rank, redis.call('ZCARD', ready(job.lane, tenant))) end
  end
end
local load = redis.call('HMGET', p .. ':load', job.lane .. ':jobs', job.lane .. ':units', 'interactive:units')
local mean = job.units
if tonumber(load[1] or 0) > 0 then mean = tonumber(load[2]) / tonumber(load[1]) end
local abroad = redis.call('ZCARD', flight(job.lane)) + redis.call('ZCARD', leases(job.lane))
local units = (position + abroad) * mean + job.units
if job.lane == 'batch' then units = units + tonumber(load[3] or 0) end
return {job.lane, position, tostring(units), redis.call('GET', p .. ':speed') or ''}
