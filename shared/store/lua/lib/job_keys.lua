local function job_key(id) return p .. ':job:' .. id end
