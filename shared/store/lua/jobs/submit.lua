--- @include lib/audit
--- @include lib/job_keys
--- @include lib/new_job
--- @include lib/rate_and_quota
--- @include lib/too_large
--- @args id lane tenant units:number spec requests:number? pixels:number by retry_of? fields...
-- Queues a job; with the id of a job that exists it changes nothing. With requests, the job counts as so many, and its units
-- count, against the tenant's limits. fields: more fields of the record.
-- Returns {1, submitted at, as charge...}, {2, '', as charge or too_large...} when it is rejected, or {0}.
if redis.call('EXISTS', job_key(id)) == 1 then return {0} end
local rejected = too_large(pixels)
if rejected then return {2, '', unpack(rejected)} end
local charged = {}
if requests then
  charged = charge(tenant, requests, units)
  if charged[1] ~= '' then return {2, '', unpack(charged)} end
end
local at = create_job({id = id, lane = lane, tenant = tenant, units = units}, spec, fields)
redis.call('ZADD', p .. ':jobs:' .. tenant, at, id)
if retry_of then
  redis.call('HSET', job_key(id), 'of', retry_of)
  record_action(tenant, by, 'job.retried', id, 'd', retry_of)
else
  record_action(tenant, by, 'job.submitted', id)
end
return {1, at, unpack(charged)}
