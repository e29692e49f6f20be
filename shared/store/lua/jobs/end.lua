--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @include lib/outcomes
--- @args id attempt:number expiry_s:number status error? found?
-- The holder ends the job: failed (with an error, JSON) or canceled. found: what the stage found, a JSON object of fields.
-- Returns 'done' or 'lost'.
local job, fields = read_job(id), found and cjson.decode(found)
if not is_current(job, attempt) then return 'lost' end
if status == 'failed' then fail(job, error, expiry_s, fields) else close(job, status, expiry_s) end
return 'done'
