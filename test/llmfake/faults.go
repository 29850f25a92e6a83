package llmfake

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// refuse answers a fault as the protocol says it.
func (s *Server) refuse(w http.ResponseWriter, reply Reply) {
	switch reply.Fault {
	case Redirected:
		w.Header().Set("Location", "http://elsewhere.invalid/")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	case WebPage:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<html><body>Please sign in.</body></html>")
		return
	}
	status, body := complaint(s.protocol, reply)
	if reply.RetryAfter != "" {
		w.Header().Set("Retry-After", reply.RetryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func complaint(p Protocol, reply Reply) (status int, body string) {
	switch p {
	case OpenAI:
		return openaiFault(reply)
	case Anthropic:
		return anthropicFault(reply)
	case Gemini:
		return geminiFault(reply)
	}
	return ollamaFault(reply)
}

func openaiFault(reply Reply) (int, string) {
	say := func(status int, kind, code any, text string) (int, string) {
		return status, write(fields{"error": fields{"message": text, "type": kind, "param": nil, "code": code}})
	}
	switch reply.Fault {
	case BadKey:
		return say(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-a***z.")
	case Forbidden:
		return say(403, "request_forbidden", "unsupported_country_region_territory", "Country, region, or territory not supported")
	case NoCredit:
		return say(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota.")
	case RateLimited:
		return say(429, "tokens", "rate_limit_exceeded", "Rate limit reached.")
	case Overloaded:
		return say(503, "service_unavailable", nil, "The engine is currently overloaded.")
	case TooLong:
		return say(400, "invalid_request_error", "context_length_exceeded",
			fmt.Sprintf("This model's maximum context length is %d tokens. However, your messages resulted in %d tokens.", reply.Window, reply.Window+4321))
	case TooLarge:
		return say(413, "invalid_request_error", nil, "Request too large.")
	case NoModel:
		return say(404, "invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it.")
	case BadRequest:
		return say(400, "invalid_request_error", nil, "Invalid schema.")
	}
	return say(500, "server_error", nil, "The server had an error.")
}

func anthropicFault(reply Reply) (int, string) {
	say := func(status int, kind, text string) (int, string) {
		return status, write(fields{"type": "error", "error": fields{"type": kind, "message": text}, "request_id": "req_1"})
	}
	switch reply.Fault {
	case BadKey:
		return say(401, "authentication_error", "invalid x-api-key")
	case Forbidden:
		return say(403, "permission_error", "Your API key does not have permission to use the specified resource.")
	case NoCredit:
		return say(402, "billing_error", "There is an issue with your billing.")
	case RateLimited:
		return say(429, "rate_limit_error", "This request would exceed your rate limit.")
	case Overloaded:
		return say(529, "overloaded_error", "Overloaded")
	case TooLong:
		return say(400, "invalid_request_error", fmt.Sprintf("prompt is too long: %d tokens > %d maximum", reply.Window+4321, reply.Window))
	case TooLarge:
		return say(413, "request_too_large", "Request exceeds the maximum size")
	case NoModel:
		return say(404, "not_found_error", "model: nothing")
	case BadRequest:
		return say(400, "invalid_request_error", "messages: at least one message is required")
	}
	return say(500, "api_error", "Internal server error")
}

func geminiFault(reply Reply) (int, string) {
	say := func(status int, kind, text string, details ...fields) (int, string) {
		return status, write(fields{"error": fields{"code": status, "message": text, "status": kind, "details": append([]fields{}, details...)}})
	}
	switch reply.Fault {
	case BadKey:
		return say(400, "INVALID_ARGUMENT", "API key not valid.", fields{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"})
	case Forbidden:
		return say(403, "PERMISSION_DENIED", "Your API key does not have permission.")
	case NoCredit:
		return say(400, "FAILED_PRECONDITION", "Please enable billing.")
	case RateLimited:
		var details []fields
		if reply.RetryAfter != "" && strings.Trim(reply.RetryAfter, "0123456789") == "" {
			details = append(details, fields{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": reply.RetryAfter + "s"})
		}
		return say(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", details...)
	case Overloaded:
		return say(503, "UNAVAILABLE", "The model is overloaded.")
	case TooLong:
		return say(400, "INVALID_ARGUMENT", fmt.Sprintf("The input token count (%d) exceeds the maximum number of tokens allowed (%d).", reply.Window+4321, reply.Window))
	case TooLarge:
		return 413, "Request Entity Too Large"
	case NoModel:
		return say(404, "NOT_FOUND", "models/nothing is not found for API version v1beta.")
	case BadRequest:
		return say(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
	}
	return say(500, "INTERNAL", "An internal error has occurred.")
}

func ollamaFault(reply Reply) (int, string) {
	say := func(status int, text string) (int, string) { return status, write(fields{"error": text}) }
	switch reply.Fault {
	case BadKey:
		return say(401, "unauthorized")
	case Forbidden:
		return say(403, "forbidden")
	case NoCredit:
		return say(402, "a subscription is required")
	case RateLimited:
		return say(429, "too many requests")
	case Overloaded:
		return say(503, "server busy, please try again.  maximum pending requests exceeded")
	case TooLong:
		return say(400, fmt.Sprintf("prompt length (%d) exceeds the context length (%d)", reply.Window+4321, reply.Window))
	case TooLarge:
		return say(413, "too large")
	case NoModel:
		return say(404, "model 'nothing' not found")
	case BadRequest:
		return say(400, "the model does not support tools")
	}
	return say(500, "llama runner process has terminated")
}

// list answers what models there are, where a path asks for that.
func (s *Server) list(path string) (string, bool) {
	var all []fields
	for _, m := range s.Models {
		switch s.protocol {
		case Gemini:
			all = append(all, fields{"name": "models/" + m.Name, "inputTokenLimit": m.Window, "supportedGenerationMethods": []string{"generateContent"}})
		case Ollama:
			all = append(all, fields{"name": m.Name, "model": m.Name, "digest": m.Digest})
		default:
			all = append(all, fields{"id": m.Name, "max_input_tokens": m.Window, "max_model_len": m.Window})
		}
	}
	switch {
	case s.protocol == Ollama && path == "/api/tags", s.protocol == Gemini && strings.HasSuffix(path, "/models"):
		return write(fields{"models": all}), true
	case s.protocol == Ollama && path == "/api/show" && len(s.Models) > 0:
		return write(fields{"model_info": fields{"general.architecture": "llama", "llama.context_length": s.Models[0].Window}}), true
	case (s.protocol == OpenAI || s.protocol == Anthropic) && strings.HasSuffix(path, "/models"):
		return write(fields{"object": "list", "data": all}), true
	}
	return "", false
}
