--- @include lib/time
-- Pixels of the largest picture that the workers draw. Nil while no worker draws, or while one has not reported its limit:
-- nothing is rejected then. Computed at most once a second.
local function largest()
  local known = redis.call('GET', p .. ':largest')
  if not known then
    local most, is_known = 0, true
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', p .. ':workers', now(), '+inf')) do
      local f = redis.call('HMGET', p .. ':worker:' .. name, 'role', 'draining', 'ready', 'max_pixels')
      if f[1] and f[1] ~= 'detection' and f[2] ~= '1' then
        is_known = is_known and f[3] == '1' and tonumber(f[4] or 0) > 0
        most = math.max(most, tonumber(f[4] or 0))
      end
    end
    known = is_known and most > 0 and string.format('%d', most) or ''
    redis.call('SET', p .. ':largest', known, 'PX', 1000)
  end
  return tonumber(known)
end
