local function ready_key(lane, tenant) return p .. ':ready:' .. lane .. ':' .. tenant end
local function schedule_key(lane) return p .. ':schedule:' .. lane end
local function throttled_key(lane) return p .. ':throttled:' .. lane end
local function dispatched_key(lane) return p .. ':dispatched:' .. lane end
local function leases_key(lane) return p .. ':leases:' .. lane end
local function waiting_key(lane) return p .. ':waiting:' .. lane end
local function in_flight_key(lane, tenant) return p .. ':in_flight:' .. lane .. ':' .. tenant end
