package dev.trm.sample

import android.app.Application
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import dev.trm.TrmOptions
import dev.trm.TrmSolver
import dev.trm.fromAsset

/** Keeps the thinker while the screen turns. */
class SampleModel(app: Application) : AndroidViewModel(app) {
    val thinker = Thinker(viewModelScope) { game ->
        TrmSolver.fromAsset(app.assets, game.asset, TrmOptions(cacheFolder = app.cacheDir))
    }

    override fun onCleared() = thinker.close()
}
