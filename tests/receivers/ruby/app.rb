# frozen_string_literal: true

# A webhook receiver in Ruby behind verigate: every request that arrives here is genuine and new.

require "digest"
require "json"
require "webrick"

SEEN = %w[
  X-Verigate-Event-Id
  X-Verigate-Event-Type
  X-Verigate-Verdict
  X-Verigate-Secret
  X-Webhook-Signature-256
  X-Forwarded-For
].freeze

WRITING = Mutex.new

def note(entry)
  return unless ENV["RECEIVED"]

  WRITING.synchronize { File.open(ENV["RECEIVED"], "a") { |file| file.puts(JSON.generate(entry)) } }
end

class Receiver < WEBrick::HTTPServlet::AbstractServlet
  def do_POST(request, response)
    body = request.body || ""
    note(
      path: request.path,
      sha256: Digest::SHA256.hexdigest(body),
      length: body.bytesize,
      headers: SEEN.to_h { |name| [name, request[name]] }
    )
    response.status = 200
    response["Content-Type"] = "application/json"
    response.body = JSON.generate(received: request["X-Verigate-Event-Id"])
  end
end

port = Integer(ARGV[0] || ENV["PORT"] || "3000")
quiet = WEBrick::Log.new(File::NULL)
server = nil
ready = proc do
  puts "ready #{server.listeners.first.addr[1]}"
  $stdout.flush
end
server = WEBrick::HTTPServer.new(
  BindAddress: "127.0.0.1", Port: port, Logger: quiet, AccessLog: [], StartCallback: ready
)
server.mount("/", Receiver)
server.start
