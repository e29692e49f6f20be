-- ARGV: prefix. Pixels of the largest picture that the workers draw; nil where nothing is refused for its size.
return largest()
