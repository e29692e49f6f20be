--- @include lib/audit
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @args id expiry_s:number tenant by
-- A job that no worker holds is canceled at once, a held one at its holder's next step.
-- Returns 1, or 0 when the tenant has no such job.
local job = read_job(id)
if not job or job.tenant ~= tenant then return 0 end
if OVER[job.status] then return 1 end
if not job.cancel then record_action(tenant, by, 'job.canceled', job.id) end
if is_held(job) then
  redis.call('HSET', job_key(job.id), 'cancel', 1)
else
  close(job, 'canceled', expiry_s)
end
return 1
