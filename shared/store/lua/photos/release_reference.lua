--- @include lib/photo_keys
--- @include lib/result_keys
--- @args id tenant stage digest
-- A job that is over ('' for none) no longer refers to a result. Returns 1 when no job does: then the caller deletes the blobs
-- within DELETE_S, and a job that finds them meanwhile cannot finish with them.
local result = result_of(tenant, stage, digest)
redis.call('SREM', references_key(result), id)
if redis.call('EXISTS', references_key(result)) == 1 then return 0 end
redis.call('SET', erased_key(result), 1, 'EX', DELETE_S)
return 1
