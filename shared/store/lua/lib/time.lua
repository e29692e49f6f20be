-- Time is Redis's own clock, never a worker's: leases must not depend on clocks that differ.
local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1e6
end

-- A time as a record holds it: to the microsecond, so that jobs keep the order in which they came.
local function stamp() return string.format('%.6f', now()) end
