--- @include lib/largest
-- {code, pixels of the largest picture} when no worker draws a picture of so many pixels; nil when one does.
local function too_large(pixels)
  local most = pixels > 0 and largest()
  return most and pixels > most and {'no_worker_for_size', most} or nil
end
