--- @include lib/job_keys
--- @include lib/job_record
--- @args id
-- The blobs of the job are deleted: its record follows.
local job = read_job(id)
if job then redis.call('ZREM', p .. ':jobs:' .. job.tenant, job.id) end
redis.call('DEL', job_key(id), p .. ':preview:' .. id)
redis.call('ZREM', p .. ':kept', id)
