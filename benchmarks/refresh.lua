-- Refresh chains: each answer's token is traded later by whichever connection comes next.
local queue, first, last = {}, 1, 0

function init(args)
  for line in io.lines(args[1]) do last = last + 1; queue[last] = line end
end

function request()
  local token = queue[first]
  queue[first] = nil
  first = first + 1
  local body = string.format('{"refresh_token":"%s"}', token)
  return wrk.format("POST", "/api/auth/refresh", { ["Content-Type"] = "application/json" }, body)
end

function response(status, headers, body)
  last = last + 1
  queue[last] = string.match(body, '"refresh_token":"([^"]+)"')
end
