# %% [markdown] lang="en"
# # 5. Out of noise: diffusion
#
# Mix a picture $x_0$ in $[-1, 1]$ with noise $\varepsilon$ from $N(0, 1)$, from a little ($t = 0$) to nothing but noise
# ($t = 1$), and let a network tell the two apart **at every level**. Here the mix is a straight line, a *rectified flow*
# (Liu et al. 2022); DDPM (Ho et al. 2020) takes another curve and the same idea:
#
# $$ x_t = (1 - t)\, x_0 + t\, \varepsilon, \qquad
# L = \mathbb{E}_{x_0, \varepsilon, t} \left\lVert f(x_t, t) - (\varepsilon - x_0) \right\rVert^2. $$
#
# The best answer is the *mean* of all $\varepsilon - x_0$ that may lie behind $x_t$. Drawing begins with noise and goes
# a little way against that answer, again and again: $x_{t - h} = x_t - h\, f(x_t, t)$. At first the mean is a grey cloud,
# then there are fewer and fewer digits that it could still be, and at last one.

# %% [markdown] lang="zh-CN"
# # 5. 从噪声中来：扩散模型
#
# 把取值在 $[-1, 1]$ 的图片 $x_0$ 与 $N(0, 1)$ 的噪声 $\varepsilon$ 混合，从几乎没有噪声（$t = 0$）到只剩噪声（$t = 1$），
# 让网络在**每一个噪声水平**上把两者分开。这里的混合走直线，叫*整流流*（Liu 等 2022）；DDPM（Ho 等 2020）走另一条曲线，思想相同：
#
# $$ x_t = (1 - t)\, x_0 + t\, \varepsilon, \qquad
# L = \mathbb{E}_{x_0, \varepsilon, t} \left\lVert f(x_t, t) - (\varepsilon - x_0) \right\rVert^2. $$
#
# 最好的回答，是 $x_t$ 背后所有可能的 $\varepsilon - x_0$ 的*平均*。画图从噪声出发，逆着这个回答一小步一小步地走：
# $x_{t - h} = x_t - h\, f(x_t, t)$。一开始平均是一团灰云，然后可能的数字越来越少，最后只剩下一个。

# %%
import matplotlib.pyplot as plt
import torch
from diffusers import UNet2DModel
from torch.nn import functional as F

from impasto.data import load
from impasto.media.grids import grid

DATA = "glyphs"  # or "mnist"
STEPS = 600
torch.set_num_threads(2)
train = load(DATA, "train")

# %% [markdown] lang="en"
# ## The core
# The network is a small U-Net of the library `diffusers`; it sees 2 × 2 pixels as four channels. One line mixes, one
# asks, one compares.

# %% [markdown] lang="zh-CN"
# ## 核心
# 网络是 `diffusers` 库里的小 U-Net；它把 2 × 2 个像素看成四个通道。混合一行，提问一行，比较一行。

# %%
def network() -> UNet2DModel:
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    return UNet2DModel(
        sample_size=14, in_channels=4, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        norm_num_groups=8, add_attention=False, **blocks,
    )


def ask(model, x, t):
    return F.pixel_shuffle(model(F.pixel_unshuffle(x, 2), 1000 * t).sample, 2)


def learn(times_of, steps: int = STEPS) -> UNet2DModel:
    model = network()
    adam = torch.optim.Adam(model.parameters(), 2e-3)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        x0 = 2 * train.batch(torch.randint(len(train), (32,))).images - 1
        noise, t = torch.randn_like(x0), times_of(len(x0))
        mixed = (1 - t[:, None, None, None]) * x0 + t[:, None, None, None] * noise
        loss = F.mse_loss(ask(model, mixed, t), noise - x0)
        adam.zero_grad()
        loss.backward()
        adam.step()
        rates.step()
    return model


@torch.no_grad()
def drawn(model, steps: int, n: int = 30) -> list[torch.Tensor]:
    """The pictures after each step."""
    x = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    path = [x]
    for k in range(steps, 0, -1):
        x = x - ask(model, x, torch.full((n,), k / steps)) / steps
        path.append(x)
    return path


right = learn(torch.rand)
path = drawn(right, 40)

# %% [markdown] lang="en"
# A row for each of six digits, from noise to picture.

# %% [markdown] lang="zh-CN"
# 六个数字各占一行，从噪声到图片。

# %%
shown = torch.stack([path[k][:6] for k in (0, 8, 16, 22, 28, 32, 36, 40)], 1).flatten(0, 1)
plt.figure(figsize=(7, 5))
plt.imshow(grid(shown.clamp(-1, 1) / 2 + 0.5, 8)[0].permute(1, 2, 0))
plt.axis("off")
plt.show()

# %% [markdown] lang="en"
# ## The mistake: an autoencoder called diffusion
# Some tutorials add one amount of noise to a picture, train a network to take it away, and call that diffusion. It is a
# *denoising autoencoder*: it knows one level, and cannot get from pure noise to a picture, neither at once nor step by
# step. And a network that is good at all levels needs the steps: in one step it gives the mean of all digits.

# %% [markdown] lang="zh-CN"
# ## 常见错误：把自编码器叫作扩散模型
# 有些教程给图片加一种固定强度的噪声，训练网络把它去掉，就说这是扩散模型。其实那是*去噪自编码器*：它只认识一个噪声水平，
# 无论一步还是多步，都没法从纯噪声走到图片。而且，在所有水平上都学好的网络也少不了这些步骤：只走一步，得到的是所有数字的平均。

# %%
one_level = learn(lambda n: torch.full((n,), 0.4), STEPS // 2)
sheets = {
    "all levels, 40 steps": path[-1],
    "all levels, one step": drawn(right, 1)[-1],
    "one level (t = 0.4), 40 steps": drawn(one_level, 40)[-1],
}
figure, panels = plt.subplots(1, 3, figsize=(11, 3.4))
for panel, (name, pictures) in zip(panels, sheets.items(), strict=True):
    panel.imshow(grid(pictures.clamp(-1, 1) / 2 + 0.5, 6)[0].permute(1, 2, 0))
    panel.set_title(name, fontsize=10)
    panel.axis("off")
plt.show()

# %% [markdown] lang="en"
# The mean squared error at each level tells the two apart. At $t = 0.4$ the one is even better; elsewhere it is lost.

# %% [markdown] lang="zh-CN"
# 两者的差别从各个水平上的均方误差就能看出来。在 $t = 0.4$ 处，只学一个水平的甚至更好；在别处它就迷路了。

# %%
x0 = 2 * load(DATA, "test").batch(torch.arange(256)).images - 1
noise, levels = torch.randn_like(x0), torch.linspace(0.05, 1, 20)
for name, model in {"all levels": right, "one level": one_level}.items():
    with torch.no_grad():
        answers = [F.mse_loss(ask(model, (1 - t) * x0 + t * noise, t.expand(256)), noise - x0) for t in levels]
    plt.plot(levels, answers, label=name)
plt.gcf().set_size_inches(6, 3)
plt.xlabel("t, share of noise")
plt.ylabel("mean squared error")
plt.yscale("log")
plt.legend()
plt.show()

# %% [markdown] lang="en"
# ## With Impasto
# `impasto train diffusion` knows flow, $v$ and $\varepsilon$, classes with guidance, and samplers that need fewer steps
# (DPM-Solver++). `noise` shows the way into noise, and what the network makes of it.

# %% [markdown] lang="zh-CN"
# ## 用 Impasto
# `impasto train diffusion` 支持 flow、$v$ 和 $\varepsilon$ 三种目标、带引导的类别条件，以及步数更少的采样器（DPM-Solver++）。
# `noise` 展示一张图片怎样变成噪声，以及网络怎样把它认出来。

# %% language="bash"
# impasto train diffusion --data glyphs --quick --minutes 0.7 -o run
# impasto sample run -n 50 --labels 0-9 -o samples.png
# impasto sample mnist-diffusion -n 1 --labels 3 -o three.png
# impasto noise mnist-diffusion three.png -o noise.png

# %%
from IPython.display import Image, display

display(Image("samples.png", width=480), Image("noise.png", width=480))

# %% [markdown] lang="en"
# ## Questions
# 1. At $t = 1$ the best answer is $\varepsilon - \bar x$ with the mean picture $\bar x$. What does the first step draw?
# 2. Two networks have the same mean loss, one trained with more small $t$. Which draws better, and why may both be right?
# 3. Guidance adds $g - 1$ times the difference that the class makes. Why do digits become cleaner and less various?

# %% [markdown] lang="zh-CN"
# ## 思考题
# 1. 在 $t = 1$ 处，最好的回答是 $\varepsilon - \bar x$，其中 $\bar x$ 是平均图片。第一步画出的是什么？
# 2. 两个网络的平均损失相同，其中一个训练时小的 $t$ 更多。哪个画得更好？为什么两者都可能有道理？
# 3. 引导把类别带来的差别再加上 $g - 1$ 倍。为什么数字会更干净，但花样更少？
