--- @include lib/job_photos
--- @include lib/photo_keys
--- @include lib/result_keys
-- The job refers to this result of a stage, which is stored for as long as a job refers to it.
-- from_photos: the result holds faces of the job's photos.
local function add_reference(job, stage, digest, from_photos)
  local photos = from_photos and photos_of(job.id) or {}
  redis.call('SADD', references_key(result_of(job.tenant, stage, digest)), job.id)
  for _, photo in ipairs(photos) do redis.call('SADD', faces_key(job.tenant, photo), digest) end
end
