--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant or '' for any, why (canceled or expired), expiry_s of jobs, by. Nothing more is queued, what waits
-- ends now, what is held ends at its holder's next step. Returns 1, or 0 when there is no such batch.
local id = ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'stop', 'tenant')
if not f[1] or (ARGV[3] ~= '' and f[3] ~= ARGV[3]) then return 0 end
if f[2] or (f[1] ~= 'validating' and f[1] ~= 'running') then return 1 end
redis.call('HSET', batch(id), 'stop', ARGV[4])
note(f[3], ARGV[6], 'batch.canceled', id)
for _, job_id in ipairs(redis.call('SMEMBERS', members(id))) do
  local job = read(job_id)
  if not job then
    redis.call('SREM', members(id), job_id)
    redis.call('HINCRBY', batch(id), 'open', -1)
  elseif held(job) then
    redis.call('HSET', record(job_id), 'cancel', ARGV[4])
  else
    job.cancel = ARGV[4]
    close(job, 'canceled', ARGV[5])
  end
end
announce_batch(id)
ring_feeder()
return 1
