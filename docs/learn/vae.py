# %% [markdown] lang="en"
# # 2. A map of all digits: the variational autoencoder
#
# A picture $x$ is explained by a few numbers $z$, its **latents**. The decoder says $p(x \mid z)$; the latents of all
# pictures together shall be spread like $N(0, 1)$, so that a random $z$ gives a picture nobody has seen. What $\log p(x)$
# is nobody can compute, but a second network, the encoder $q(z \mid x)$, gives a lower bound (Kingma and Welling 2014):
#
# $$ \log p(x) \ge \text{ELBO} = \mathbb{E}_q \log p(x \mid z) - \mathrm{KL}\left(q(z \mid x) \,\|\, N(0, 1)\right),
# \qquad \mathrm{KL} = \tfrac12 \sum_i \left( \mu_i^2 + s_i^2 - 1 - 2 \log s_i \right). $$
#
# Both terms are in the same unit, nats *per picture*: the first is a **sum over all pixels**, the second a sum over
# latents. Pixels are black or white here, drawn anew at each step with their brightness as the probability.

# %% [markdown] lang="zh-CN"
# # 2. 所有数字的地图：变分自编码器
#
# 一张图片 $x$ 由少数几个数 $z$ 来解释，它们叫**隐变量**。解码器给出 $p(x \mid z)$；所有图片的隐变量合起来应当像 $N(0, 1)$
# 那样分布，这样随机取一个 $z$ 就能得到谁也没见过的图片。$\log p(x)$ 算不出来，但第二个网络，编码器 $q(z \mid x)$，
# 能给出它的一个下界（Kingma 和 Welling 2014）：
#
# $$ \log p(x) \ge \text{ELBO} = \mathbb{E}_q \log p(x \mid z) - \mathrm{KL}\left(q(z \mid x) \,\|\, N(0, 1)\right),
# \qquad \mathrm{KL} = \tfrac12 \sum_i \left( \mu_i^2 + s_i^2 - 1 - 2 \log s_i \right). $$
#
# 两项的单位相同，都是*每张图片*多少奈特：第一项是**对所有像素求和**，第二项对隐变量求和。这里的像素非黑即白，
# 每一步都以亮度为概率重新抽取。

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from impasto.data import load
from impasto.media.grids import grid

DATA = "glyphs"  # or "mnist"
STEPS = 1500
torch.set_num_threads(2)
train = load(DATA, "train")


def show(panel, pictures, title: str, columns: int = 8) -> None:
    panel.imshow(grid(pictures, columns)[0].permute(1, 2, 0))
    panel.set_title(title, fontsize=10)
    panel.axis("off")

# %% [markdown] lang="en"
# ## The core
# The encoder says the mean and the logarithm of the deviation of two latents; $z = \mu + s \cdot \varepsilon$ lets the
# gradient through (the "reparametrisation").

# %% [markdown] lang="zh-CN"
# ## 核心
# 编码器给出两个隐变量的均值和标准差的对数；写成 $z = \mu + s \cdot \varepsilon$，梯度就能穿过去（"重参数化"）。

# %%
def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 4))
    decoder = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 784))
    return encoder, decoder


def terms(encoder, decoder, x):
    """log p(x | z) and KL of each picture, in nats."""
    mean, log_scale = encoder(x).chunk(2, 1)
    z = mean + log_scale.exp() * torch.randn_like(mean)
    log_likelihood = -F.binary_cross_entropy_with_logits(decoder(z), x.flatten(1), reduction="none")
    kl = 0.5 * (mean**2 + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(1)
    return log_likelihood, kl  # [N, 784], [N]


def learn(loss_of):
    encoder, decoder = networks()
    adam, kls = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3), []
    for _ in range(STEPS):
        x = train.batch(torch.randint(len(train), (128,))).images.bernoulli()
        log_likelihood, kl = terms(encoder, decoder, x)
        loss = loss_of(log_likelihood, kl)
        adam.zero_grad()
        loss.backward()
        adam.step()
        kls.append(kl.mean().item())
    return encoder, decoder, kls


right = learn(lambda log_likelihood, kl: (kl - log_likelihood.sum(1)).mean())

# %% [markdown] lang="en"
# ## The mistake: a mean where a sum belongs
# `F.binary_cross_entropy(...)` and `F.mse_loss(...)` take the **mean** over pixels unless they are told otherwise. Then
# the first term is 784 times too small beside the second. The cheapest way to a small loss is now to say nothing: the
# encoder gives $N(0, 1)$ for every picture (KL is 0), and the decoder learns one picture, the mean of all. This is called
# posterior collapse, and many a "blurry VAE" is nothing else.

# %% [markdown] lang="zh-CN"
# ## 常见错误：该求和的地方求了平均
# 不特别说明时，`F.binary_cross_entropy(...)` 和 `F.mse_loss(...)` 对像素取**平均**。这样第一项与第二项相比就小了 784 倍。
# 让损失变小的最省力的办法，就是什么都不说：编码器对每张图片都给出 $N(0, 1)$（KL 为 0），解码器只学会一张图片，即所有图片的平均。
# 这叫后验坍缩；许多"模糊的 VAE"其实就是这么来的。

# %%
wrong = learn(lambda log_likelihood, kl: (kl - log_likelihood.mean(1)).mean())
z = torch.randn(32, 2)
figure, panels = plt.subplots(1, 3, figsize=(11, 3), width_ratios=[1, 1, 1.1])
for panel, (_, decoder, _), name in zip(panels, (right, wrong), ("sum over pixels", "mean over pixels"), strict=False):
    with torch.no_grad():
        show(panel, decoder(z).sigmoid().view(-1, 1, 28, 28), f"decoded at random: {name}")
panels[2].plot(right[2], label="sum")
panels[2].plot(wrong[2], label="mean")
panels[2].set(title="KL, nats: what z says of a picture", xlabel="steps", ylim=(0, None))
panels[2].legend()
print(f"KL {right[2][-1]:.1f} nats with the sum, {wrong[2][-1]:.3f} with the mean")

# %% [markdown] lang="en"
# ## The map
# With two latents all pictures lie on a plane. Left: where the encoder puts digits. Right: what the decoder makes of each
# place, at equal shares of $N(0, 1)$.

# %% [markdown] lang="zh-CN"
# ## 地图
# 只有两个隐变量时，所有图片都在一个平面上。左边：编码器把数字放在哪里。右边：解码器在每个位置画出什么，各位置占 $N(0, 1)$ 的份额相同。

# %%
encoder, decoder, _ = right
batch = train.batch(torch.arange(2000))
with torch.no_grad():
    places = encoder(batch.images)[:, :2]
    line = torch.special.ndtri((torch.arange(16) + 0.5) / 16)
    plane = torch.stack(torch.meshgrid(-line, line, indexing="ij")[::-1], 2).view(-1, 2)
    pictures = decoder(plane).sigmoid().view(-1, 1, 28, 28)
figure, panels = plt.subplots(1, 2, figsize=(11, 5))
dots = panels[0].scatter(*places.T, c=batch.labels, cmap="tab10", s=4)
figure.colorbar(dots, ax=panels[0], ticks=range(10))
show(panels[1], pictures, "the decoder's plane", columns=16)
plt.show()

# %% [markdown] lang="en"
# ## With Impasto
# `impasto train vae` has convolutions, the same loss with its sums (`src/impasto/models/vae.py`), and reports the bound of
# the test set; the importance-weighted one (Burda et al. 2016) is tighter.

# %% [markdown] lang="zh-CN"
# ## 用 Impasto
# `impasto train vae` 用的是卷积网络，损失也是同样的求和（`src/impasto/models/vae.py`），并报告测试集上的下界；
# 重要性加权的下界（Burda 等 2016）更紧。

# %% language="bash"
# impasto train vae --data glyphs --quick --minutes 0.8 -o run
# impasto sample run -n 40 -o samples.png
# impasto interpolate run -o walk.png

# %%
from IPython.display import Image, display

display(Image("run/curves.png", width=700), Image("samples.png", width=500), Image("walk.png", width=500))

# %% [markdown] lang="en"
# ## Questions
# 1. Multiply KL by 4 (a "β-VAE"). What happens to the map, and what to the samples?
# 2. Why does $\log p(x \mid z)$ of black and white pixels make sense as it is, and that of grey ones with `mse_loss` only
#    for a certain deviation?
# 3. The sum of both terms is a bound. How would you find out how far it lies below $\log p(x)$?

# %% [markdown] lang="zh-CN"
# ## 思考题
# 1. 把 KL 乘以 4（"β-VAE"）。地图会怎样？随机画出的图片又会怎样？
# 2. 为什么黑白像素的 $\log p(x \mid z)$ 本身就有意义，而灰度像素用 `mse_loss` 只在某个标准差下才有意义？
# 3. 两项之和是一个下界。怎样知道它比 $\log p(x)$ 低多少？
