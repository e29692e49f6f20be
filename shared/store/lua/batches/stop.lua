--- @include lib/audit
--- @include lib/batch_events
--- @include lib/batch_keys
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @include lib/notify
--- @args id tenant? reason expiry_s:number by
-- No more lines of the batch (of any tenant, without one) are queued; jobs that wait end now, held ones at their holder's next
-- step. reason: canceled or expired; expiry_s: of the jobs. Returns 1, or 0 when there is no such batch.
local f = redis.call('HMGET', batch_key(id), 's', 'stop', 'tenant')
if not f[1] or (tenant and f[3] ~= tenant) then return 0 end
if f[2] or (f[1] ~= 'validating' and f[1] ~= 'running') then return 1 end
redis.call('HSET', batch_key(id), 'stop', reason)
record_action(f[3], by, 'batch.canceled', id)
for _, job_id in ipairs(redis.call('SMEMBERS', open_key(id))) do
  local job = read_job(job_id)
  if not job then
    redis.call('SREM', open_key(id), job_id)
    redis.call('HINCRBY', batch_key(id), 'open', -1)
  elseif is_held(job) then
    redis.call('HSET', job_key(job_id), 'cancel', reason)
  else
    job.cancel = reason
    close(job, 'canceled', expiry_s)
  end
end
announce_batch(id)
notify('feed')
return 1
