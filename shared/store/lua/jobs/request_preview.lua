--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/time
--- @args id seconds:number
-- The worker of the job is to store the picture as it emerges for this long. A job that is over stays as it is.
local job = read_job(id)
if job and not OVER[job.status] then redis.call('HSET', job_key(job.id), 'preview_until', now() + seconds) end
