-- Events since Redis was empty, all tenants together: queue/totals.lua reads them.
local function count(event) redis.call('HINCRBY', p .. ':counts', event, 1) end
