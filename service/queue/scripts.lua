-- The steps that Redis must take as one. Loaded as one script: ARGV[1] names the step, the rest are its arguments.
-- Each step names its keys first. Times are in milliseconds, on Redis' clock.

local steps = {}

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function remove_entry(stream, group, entry)
  redis.call('XACK', stream, group, entry)
  redis.call('XDEL', stream, entry)
end

-- A size-capped store holds values that may never be fetched: the oldest leave when all together take too many bytes.
-- Each value is a key of its own with its own expiry; the store is a list of '<bytes> <key>' in order of arrival, and
-- the sum of these bytes. What left some other way counts until it is the oldest: the sum is never too low.
-- The value must have been written, and not be larger than the whole store. One that is expelled before who waits for it
-- has taken it stays for them, for as long as its field `untaken` says.
local function store_capped(list, total, limit_bytes, key, bytes, lives_ms)
  redis.call('RPUSH', list, bytes .. ' ' .. key)
  local held = redis.call('INCRBY', total, bytes)
  redis.call('PEXPIRE', list, lives_ms)
  redis.call('PEXPIRE', total, lives_ms)
  local oldest = redis.call('LINDEX', list, 0)
  while oldest do
    local size, name = string.match(oldest, '^(%d+) (.*)$')
    if held <= tonumber(limit_bytes) and redis.call('EXISTS', name) == 1 then return end
    redis.call('LPOP', list)
    local untaken_ms = redis.call('HGET', name, 'untaken')
    if untaken_ms then
      redis.call('HDEL', name, 'is_kept')
      redis.call('PEXPIRE', name, untaken_ms)
    else
      redis.call('UNLINK', name)
    end
    held = redis.call('DECRBY', total, size)
    oldest = redis.call('LINDEX', list, 0)
  end
end

-- Where Redis has no memory left, it refuses the first write of a script that needs some, and no later one. So a step
-- that must go on even then begins with a write that needs none.
local function go_on_without_memory(hash)
  redis.call('HDEL', hash, '')
end

-- Files do not pass through a script, which would copy them: they are written to a hash that was staged for it, and which
-- expires soon. A step either renames it, or unlinks it and returns.
function steps.stage(lives_ms)
  redis.call('HSET', KEYS[1], '', '')
  return redis.call('PEXPIRE', KEYS[1], lives_ms)
end

local function unstage(staged, outcome)
  if staged then redis.call('UNLINK', staged) end
  return outcome
end

local function last_delivered(stream, group)
  if redis.call('EXISTS', stream) == 0 then return '0-0' end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local info = {}
    for i = 1, #flat, 2 do info[flat[i]] = flat[i + 1] end
    if info['name'] == group then return info['last-delivered-id'] end
  end
  return '0-0'
end

-- A stream's entry is {id, {'job', job id, 'preemptible', '0' or '1'}}.
local function is_preemptible(entry)
  return entry[2][4] == '1'
end

local function rank_of(entry)
  return tonumber(entry[2][6] or 0)
end

local function append(stream, job, job_id, preemptible, rank)
  local entry = redis.call('XADD', stream, '*', 'job', job_id, 'preemptible', preemptible, 'rank', rank)
  redis.call('HSET', job, 'stream', stream, 'entry', entry)
end

-- Each entry that goes behind a new one is deleted and appended: so many cost a few milliseconds.
local most_behind = 128

-- Finds the place of a job among those that wait in a lane: preemptible ones are last, and clients take turns. The first
-- job of each has the rank of the turn that is on, each further one a rank more; without a client it has none. `turns`
-- holds each client's last rank, and the highest of all: a new turn begins when none waits. Returns the rank, and the
-- entries that are to go behind the job, the last first.
local function place(stream, group, client, preemptible)
  local delivered, rank = last_delivered(stream, group), 0
  if client ~= '' then
    local first = redis.call('XRANGE', stream, '(' .. delivered, '+', 'COUNT', 1)[1]
    local last, top = unpack(redis.call('HMGET', stream .. ':turns', client, ''))
    local turn = first and rank_of(first) or tonumber(top or 0) + 1
    local next_own = math.min(tonumber(last or 0) + 1, turn + redis.call('ZCARD', client)) -- some may have been cancelled
    rank = math.max(turn, next_own)
  end
  local behind, upto, count = {}, '+', 1
  while true do
    local entries = redis.call('XREVRANGE', stream, upto, '(' .. delivered, 'COUNT', count)
    for _, entry in ipairs(entries) do
      local goes_behind = rank_of(entry) > rank and #behind < most_behind
      if is_preemptible(entry) ~= (preemptible == '1') then goes_behind = preemptible == '0' end
      if not goes_behind then return rank, behind end
      table.insert(behind, entry)
      upto = '(' .. entry[1]
    end
    if #entries < count then return rank, behind end
    count = 2 * count
  end
end

local function put_at(rank, behind, stream, job, job_id, preemptible, client)
  append(stream, job, job_id, preemptible, rank)
  local prefix = string.sub(job, 1, -1 - #job_id)
  for i = #behind, 1, -1 do
    local entry = behind[i]
    local moved = prefix .. entry[2][2]
    redis.call('XDEL', stream, entry[1])
    if redis.call('EXISTS', moved) == 1 then append(stream, moved, entry[2][2], entry[2][4], rank_of(entry)) end
  end
  if client == '' then return end
  local turns = stream .. ':turns'
  local top = tonumber(redis.call('HGET', turns, '') or 0)
  redis.call('HSET', turns, client, rank, '', math.max(top, rank))
  redis.call('EXPIRE', turns, 3600)
end

local function put(stream, group, job, job_id, preemptible)
  local client = redis.call('HGET', job, 'client') or ''
  local rank, behind = place(stream, group, client, preemptible)
  put_at(rank, behind, stream, job, job_id, preemptible, client)
end

-- A client's running requests and jobs are a sorted set, by the time until which each counts.
local function count_until(client, member, ends_ms)
  redis.call('ZADD', client, ends_ms, member)
  redis.call('PEXPIREAT', client, redis.call('ZRANGE', client, -1, -1, 'WITHSCORES')[2])
end

local function end_job(job)
  local client, counts = unpack(redis.call('HMGET', job, 'client', 'counts'))
  if counts == '1' then redis.call('ZREM', client, job) end
  return redis.call('DEL', job)
end

-- Time in ms that one worker would take for the jobs which a new one of a lane has to wait for: the ordinary ones, and if
-- it is preemptible, the preemptible ones too, but those behind it. `pace` holds the measured ms per job of both kinds.
local function work_before_ms(stream, pace, preemptible, behind, ordinary_ms, preemptible_ms)
  local measured = redis.call('HMGET', pace, '0', '1')
  local count, preemptibles = redis.call('XLEN', stream), 0
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  for _, entry in ipairs(last and is_preemptible(last) and redis.call('XRANGE', stream, '-', '+') or {}) do
    if is_preemptible(entry) then preemptibles = preemptibles + 1 end
  end
  for _, entry in ipairs(behind) do
    count = count - 1
    if is_preemptible(entry) then preemptibles = preemptibles - 1 end
  end
  local work_ms = (count - preemptibles) * (measured[1] or ordinary_ms)
  return preemptible == '0' and work_ms or work_ms + preemptibles * (measured[2] or preemptible_ms)
end

-- The time per job follows what workers measure, each the mean of its last jobs.
local function note_pace(pace, preemptible, took_ms)
  local last_ms = redis.call('HGET', pace, preemptible)
  local job_ms = last_ms and last_ms + (took_ms - last_ms) / 4 or took_ms
  redis.call('HSET', pace, preemptible, string.format('%.3f', job_ms))
end

-- Takes entries from a worker and appends their jobs again: those whose decoding had begun to `suspects`, the others to
-- the stream that they were in. `jobs` is the beginning of the keys of jobs.
local function put_back(stream, suspects, group, jobs, entries)
  local count = 0
  for _, pending in ipairs(entries) do
    local entry = redis.call('XRANGE', stream, pending[1], pending[1])[1]
    remove_entry(stream, group, pending[1])
    if entry then
      local job_id, preemptible = entry[2][2], entry[2][4]
      local job = jobs .. job_id
      if redis.call('EXISTS', job) == 1 then
        local has_begun = tonumber(redis.call('HGET', job, 'begun') or 0) > 0
        put(has_begun and suspects or stream, group, job, job_id, preemptible)
        count = count + 1
      end
    end
  end
  return count
end

---- jobs -------------------------------------------------------------------------------------------------------------

-- Returns 1 if the job is new; 2 if it was enqueued before, and waits, runs or has its result; or the time in ms for which
-- it would wait, negative, if that is longer than `most_wait_ms`. The next two are what jobs take before one was measured.
-- With `accepted` a record is opened, in place of that of an earlier try that failed.
-- With `counts`, the job counts towards its client's limit until it ends.
function steps.enqueue(group, workers, most_wait_ms, ordinary_ms, preemptible_ms, lives_ms, job_id, preemptible, client,
                       counts, accepted, picture_ms, record_ms, ...)
  local stream, job, result, record, pace, staged = unpack(KEYS)
  if redis.call('EXISTS', job) == 1 then return unstage(staged, 2) end
  if redis.call('EXISTS', result) == 1 and (accepted == '' or redis.call('HEXISTS', result, 'error') == 0) then
    return unstage(staged, 2)
  end
  local rank, behind = place(stream, group, client, preemptible)
  local wait_ms = work_before_ms(stream, pace, preemptible, behind, ordinary_ms, preemptible_ms) / workers
  if wait_ms > tonumber(most_wait_ms) then return unstage(staged, -math.ceil(wait_ms)) end
  if staged then redis.call('RENAME', staged, job) end
  local now = now_ms() -- without files, the next is the first write: refused where Redis has no memory left
  redis.call('HSET', job, 'enqueued_ms', now, 'client', client, 'counts', counts, ...)
  redis.call('PEXPIRE', job, lives_ms)
  if counts == '1' then count_until(client, job, now + lives_ms) end
  if accepted ~= '' then
    redis.call('UNLINK', result, record)
    redis.call('HSET', record, 'accepted', accepted, 'picture_ms', picture_ms, 'record_ms', record_ms)
    redis.call('PEXPIRE', record, record_ms + lives_ms)
  end
  put_at(rank, behind, stream, job, job_id, preemptible, client)
  return 1
end

-- Cancels a job for the process that waits for it; under the same id, another may wait by now.
function steps.cancel(group, reply_to)
  local job = KEYS[1]
  local entry, stream, waits = unpack(redis.call('HMGET', job, 'entry', 'stream', 'reply_to'))
  if not entry or waits ~= reply_to then return 0 end
  remove_entry(stream, group, entry)
  return end_job(job)
end

-- Returns for each job whether it waits, runs or has its result. KEYS: each job, then its result.
function steps.are_known()
  local known = {}
  for i = 1, #KEYS, 2 do table.insert(known, redis.call('EXISTS', KEYS[i], KEYS[i + 1])) end
  return known
end

-- KEYS: each lane's stream.
function steps.prepare(group)
  for _, stream in ipairs(KEYS) do
    local groups = redis.call('EXISTS', stream) == 1 and redis.call('XINFO', 'GROUPS', stream) or {}
    if #groups == 0 then redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM') end
  end
  return 1
end

function steps.acknowledge(group, ...)
  for _, entry in ipairs({...}) do remove_entry(KEYS[1], group, entry) end
  return 1
end

-- Returns the entries that it took: one, or none if there is none or a worker holds one.
function steps.claim_suspect(group, worker)
  local suspects = KEYS[1]
  if redis.call('XPENDING', suspects, group)[1] > 0 then return {} end
  local taken = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', 1, 'STREAMS', suspects, '>')
  return taken and taken[1][2] or {}
end

-- Returns 0 if the job is not wanted any more, or was put back for others.
function steps.begin(entry, deliveries)
  local job = KEYS[1]
  if redis.call('HGET', job, 'entry') ~= entry then return 0 end
  go_on_without_memory(job)
  redis.call('HSET', job, 'begun', deliveries)
  return 1
end

-- Puts back the jobs of workers that were silent for a lease, and forgets workers that were silent for `forget_ms`.
-- Jobs of the background lane stay in it even if they had begun: alone on a worker, they would keep it for minutes.
function steps.reclaim(group, lease_ms, forget_ms)
  local workers, redelivered, jobs, interactive, background, suspects = unpack(KEYS)
  local count = 0
  for _, stream in ipairs({interactive, background, suspects}) do
    local orphans = redis.call('XPENDING', stream, group, 'IDLE', lease_ms, '-', '+', 1000)
    count = count + put_back(stream, stream == background and background or suspects, group, jobs, orphans)
  end
  if count > 0 then redis.call('INCRBY', redelivered, count) end
  local heartbeats, now = redis.call('HGETALL', workers), now_ms()
  for i = 1, #heartbeats, 2 do
    local worker = heartbeats[i]
    if now - tonumber(string.match(heartbeats[i + 1], '^%d+')) > tonumber(forget_ms) then
      redis.call('HDEL', workers, worker)
      for _, stream in ipairs({interactive, background, suspects}) do
        if #redis.call('XPENDING', stream, group, '-', '+', 1, worker) == 0 then
          redis.call('XGROUP', 'DELCONSUMER', stream, group, worker)
        end
      end
    end
  end
  return count
end

-- KEYS after the second: each lane's stream.
function steps.leave(group, worker)
  local workers, jobs = unpack(KEYS)
  redis.call('HDEL', workers, worker)
  for i = 3, #KEYS do
    put_back(KEYS[i], KEYS[i], group, jobs, redis.call('XPENDING', KEYS[i], group, '-', '+', 1000, worker))
    redis.call('XGROUP', 'DELCONSUMER', KEYS[i], group, worker)
  end
  return 1
end

-- Returns 1 if this was the first result of a job that is still wanted. It begins with a write that needs no memory.
-- A result is kept for a job with a record, and for who waits for the job, until it is taken. `info` says how its image
-- was made: one API process counts it. `took_ms` is the worker's time for it, if it counts.
-- Under the same id, another may have been enqueued after this one: `enqueued_ms` tells them apart.
function steps.complete(group, entry, enqueued_ms, job_id, preemptible, took_ms, awaited, lives_ms, outcome, limit_bytes,
                        bytes, info, ...)
  local stream, job, result, replies, record, pictures, pictures_bytes, uncounted, pace, staged = unpack(KEYS)
  if staged and redis.call('EXISTS', staged) == 0 then return redis.error_reply('no such key: the staged result') end
  remove_entry(stream, group, entry)
  local new_entry, new_stream, begun = unpack(redis.call('HMGET', job, 'entry', 'stream', 'enqueued_ms'))
  if not new_entry or begun ~= enqueued_ms then return unstage(staged, 0) end
  if new_entry ~= entry then remove_entry(new_stream, group, new_entry) end -- it was put back meanwhile
  end_job(job)
  if took_ms ~= '' then note_pace(pace, preemptible, took_ms) end
  if info ~= '' then
    redis.call('RPUSH', uncounted, info)
    redis.call('LTRIM', uncounted, -10000, -1) -- there may be no API process
    redis.call('PEXPIRE', uncounted, lives_ms)
  end
  local picture_ms, record_ms = unpack(redis.call('HMGET', record, 'picture_ms', 'record_ms'))
  if picture_ms then
    redis.call('HSET', record, 'outcome', outcome)
    redis.call('PEXPIRE', record, record_ms)
  end
  local is_kept = picture_ms and bytes ~= '0' and tonumber(bytes) <= tonumber(limit_bytes)
  if awaited == '0' and not is_kept then return unstage(staged, 1) end
  if staged then redis.call('RENAME', staged, result) else redis.call('HSET', result, ...) end
  redis.call('PEXPIRE', result, is_kept and picture_ms or lives_ms)
  if is_kept then
    redis.call('HSET', result, 'is_kept', '1')
    if awaited == '1' then redis.call('HSET', result, 'untaken', lives_ms) end
    store_capped(pictures, pictures_bytes, limit_bytes, result, bytes, picture_ms)
  end
  if awaited == '1' then
    redis.call('RPUSH', replies, job_id)
    redis.call('PEXPIRE', replies, lives_ms)
  end
  return 1
end

-- Gives a job back. `begun`: its earlier deliveries.
function steps.release(group, entry, job_id, preemptible, begun)
  local stream, job = unpack(KEYS)
  remove_entry(stream, group, entry)
  if redis.call('HGET', job, 'entry') ~= entry then return 0 end -- it is answered, or was put back
  redis.call('HSET', job, 'begun', begun)
  put(stream, group, job, job_id, preemptible)
  return 1
end

-- Returns 0 if the job is not wanted any more, 2 if one that it must give way to waits in its lane, else 1.
function steps.report(group, preemptible, ...)
  local stream, job = unpack(KEYS)
  if redis.call('EXISTS', job) == 0 then return 0 end
  go_on_without_memory(job)
  redis.call('HSET', job, ...)
  if preemptible == '0' then return 1 end
  local next_waiting = redis.call('XRANGE', stream, '(' .. last_delivered(stream, group), '+', 'COUNT', 1)[1]
  return (next_waiting and not is_preemptible(next_waiting)) and 2 or 1
end

function steps.heartbeat(worker, about)
  local workers = KEYS[1]
  go_on_without_memory(workers)
  redis.call('HSET', workers, worker, now_ms() .. ' ' .. about)
  return 1
end

---- records of jobs --------------------------------------------------------------------------------------------------

-- A position of 0: a worker has the job.
function steps.job_status(group)
  local record, job, result = unpack(KEYS)
  local accepted, outcome = unpack(redis.call('HMGET', record, 'accepted', 'outcome'))
  if not accepted then return false end
  local entry, stream, progress = unpack(redis.call('HMGET', job, 'entry', 'stream', 'progress'))
  local position = 0
  if entry then
    position = #redis.call('XRANGE', stream, '(' .. last_delivered(stream, group), entry)
  end
  return {accepted, outcome, entry, position, progress, redis.call('HEXISTS', job, 'preview'),
          redis.call('EXISTS', result)}
end

-- Returns whether there is a record of the job.
function steps.cancel_recorded(group, outcome)
  local record, job, result = unpack(KEYS)
  local record_ms = redis.call('HGET', record, 'record_ms')
  if not record_ms then return 0 end
  local entry, stream = unpack(redis.call('HMGET', job, 'entry', 'stream'))
  if entry then
    remove_entry(stream, group, entry)
    end_job(job)
    redis.call('HSET', record, 'outcome', outcome)
    redis.call('PEXPIRE', record, record_ms)
  end
  redis.call('UNLINK', result)
  return 1
end

---- registered styles ------------------------------------------------------------------------------------------------

-- Returns the style's number; 0 if there are too many, -1 if the id is taken.
function steps.add_style(limit, style_id)
  local style, styles, last_number, staged = unpack(KEYS)
  if redis.call('EXISTS', style) == 1 then return unstage(staged, -1) end
  if redis.call('ZCARD', styles) >= tonumber(limit) then return unstage(staged, 0) end
  redis.call('RENAME', staged, style)
  redis.call('PERSIST', style)
  local number = redis.call('INCR', last_number)
  redis.call('ZADD', styles, number, style_id)
  return number
end

function steps.remove_style(style_id)
  local style, styles = unpack(KEYS)
  redis.call('ZREM', styles, style_id)
  return redis.call('DEL', style)
end

---- concurrency limits -----------------------------------------------------------------------------------------------

-- Returns 0 if as many requests and jobs run as are allowed.
function steps.start_request(request_id, lease_ms, limit)
  local running = KEYS[1]
  local now = now_ms()
  redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
  if not redis.call('ZSCORE', running, request_id) and redis.call('ZCARD', running) >= tonumber(limit) then return 0 end
  count_until(running, request_id, now + lease_ms)
  return 1
end

function steps.renew_requests(lease_ms, ...)
  local running = KEYS[1]
  local ends = now_ms() + lease_ms
  redis.call('ZREMRANGEBYSCORE', running, '-inf', now_ms()) -- goes on without memory
  for _, request_id in ipairs({...}) do count_until(running, request_id, ends) end
  return 1
end

return steps[ARGV[1]](unpack(ARGV, 2))
