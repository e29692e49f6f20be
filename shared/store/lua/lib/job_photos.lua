--- @include lib/job_keys
--- @include lib/photo_keys
-- Ids of all photos that a job asks for.
local function photos_of(id)
  local photos = {}
  for _, concept in ipairs(cjson.decode(redis.call('HGET', job_key(id), 'spec')).concepts) do
    for _, photo in ipairs(concept.photos) do photos[#photos + 1] = photo end
  end
  return photos
end

-- Whether a photo of the job was erased after the job had begun with it.
local function has_erased_photo(job)
  for _, photo in ipairs(photos_of(job.id)) do
    if redis.call('EXISTS', erased_photo_key(job.tenant, photo)) == 1 then return true end
  end
  return false
end
