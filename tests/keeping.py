"""The smallest cache strategies that follow the interface."""

import torch


class KeepAllState:
    def __init__(self):
        self.kept = {}

    def append(self, layer, step, q, k, v):
        if layer in self.kept:
            old_k, old_v = self.kept[layer]
            k, v = torch.cat([old_k, k], dim=1), torch.cat([old_v, v], dim=1)
        self.kept[layer] = k.clone(), v.clone()
        return k, v

    def select(self, layer, branch, step, x):
        return None

    def restore(self, layer, branch, step, out, kept):
        return out

    def narrow(self, batch):
        self.kept = {layer: (k[:batch].clone(), v[:batch].clone()) for layer, (k, v) in self.kept.items()}

    def nbytes(self):
        return sum(k.nbytes + v.nbytes for k, v in self.kept.values())


class KeepAll:
    lossless = True
    state = KeepAllState

    def steps(self, schedule):
        return len(schedule)

    def start(self, plan):
        return self.state()


class EveryOtherState(KeepAllState):
    def append(self, layer, step, q, k, v):
        self.kept[layer] = k.clone(), v.clone()
        return k, v

    def select(self, layer, branch, step, x):
        return torch.arange(0, x.shape[1], 2).expand(len(x), -1) if step else None

    def restore(self, layer, branch, step, out, kept):
        if kept is None:
            return out
        whole = out.new_zeros(len(out), 12 if step == 3 else (step + 1) ** 2, out.shape[-1])
        return whole.scatter(1, kept[..., None].expand_as(out), out)


class EveryOther(KeepAll):
    """Computes every other token, and keeps the newest scale alone."""

    lossless = False
    state = EveryOtherState


class FirstHalfState(KeepAllState):
    def enter(self, layer, step, x):
        self.size = x.shape[1]
        return x[:, : -(-self.size // 2)]

    def leave(self, layer, step, x):
        return torch.cat((x, x[:, : self.size - x.shape[1]]), dim=1)


class FirstHalf(KeepAll):
    """Computes the first half of the tokens, in every block; draws the last scale without a condition."""

    lossless = False
    state = FirstHalfState

    def unconditional_from(self, schedule):
        return len(schedule) - 1

    def seeded(self, noise):
        return self
