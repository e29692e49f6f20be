--- @include lib/largest
--- @args
-- Pixels of the largest picture that the workers draw; nil where no picture is rejected for its size.
return largest()
