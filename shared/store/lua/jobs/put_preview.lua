--- @include lib/events
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @args id attempt:number step expiry_s:number jpeg
-- The holder stores the picture as it is after a step. Returns 'done' or 'lost'.
local job = read_job(id)
if not is_current(job, attempt) then return 'lost' end
redis.call('SET', p .. ':preview:' .. job.id, jpeg, 'EX', expiry_s)
redis.call('HSET', job_key(job.id), 'preview_step', step)
announce(job.id)
return 'done'
