package repositories

import (
	"context"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/githttp"
	"github.com/mergegate/mergegate/models"
)

var _ githttp.Transport = (*gitrepo.Store)(nil)

// HookHandler returns a handler that passes the requests of git's hooks to h.
func HookHandler(h githttp.Hooks) gitrepo.HookHandler {
	return func(ctx context.Context, r gitrepo.HookRequest) gitrepo.HookResponse {
		push := githttp.Push{ProjectID: r.ProjectID, UserID: r.UserID, RequestID: r.RequestID, Options: r.PushOptions}
		for _, u := range r.Updates {
			push.Updates = append(push.Updates, githttp.Update{
				RefUpdate: models.RefUpdate{Ref: u.Ref, Old: u.Old, New: u.New}, Forced: u.Forced,
			})
		}
		switch r.Kind {
		case gitrepo.PreReceive:
			refuse, message := h.PreReceive(ctx, push)
			return gitrepo.HookResponse{Refuse: refuse, Message: message}
		case gitrepo.PostReceive:
			return gitrepo.HookResponse{Message: h.PostReceive(ctx, push)}
		}
		return gitrepo.HookResponse{Refuse: true}
	}
}
